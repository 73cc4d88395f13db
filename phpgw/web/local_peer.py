"""The peer of a connection: tell if it is on this machine, and which port it used."""

from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.interfaces import IAddress, ITransport
from twisted.protocols.policies import ProtocolWrapper
from twisted.protocols.tls import TLSMemoryBIOProtocol

from phpgw.transport.prompt_port import PromptServer
from phpgw.web.addresses import host_and_port
from phpgw.web.host import is_loopback


def uses_proxy_protocol(transport: ITransport) -> bool:
    """Return whether the peer's address comes from the PROXY protocol, and not from the socket."""
    below: Any = transport
    while isinstance(below, TLSMemoryBIOProtocol):
        below = below.transport
    return isinstance(below, ProtocolWrapper)


def is_local(transport: ITransport) -> bool:
    """Return whether the peer is certainly on this machine.

    An address from the PROXY protocol does not count.
    """
    return not uses_proxy_protocol(transport) and is_local_address(transport.getPeer())


def is_local_address(peer: IAddress) -> bool:
    """Return whether an address is a loopback address or a UNIX socket."""
    if isinstance(peer, (IPv4Address, IPv6Address)):
        host, _ = host_and_port(peer)
        return bool(host) and is_loopback(host)
    return isinstance(peer, UNIXAddress)


def local_port(transport: ITransport) -> int | str:
    """Return the gateway's end of a connection, as :func:`port_or_path` does."""
    if isinstance(transport, PromptServer):
        # Without a system call.
        return transport.local_port
    return port_or_path(transport.getHost())


def port_or_path(address: IAddress) -> int | str:
    """Return the number of a TCP port, or the path of a UNIX socket."""
    if isinstance(address, (IPv4Address, IPv6Address)):
        return address.port
    unix: Any = address
    return str(unix.name)
