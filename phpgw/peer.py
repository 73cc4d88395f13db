"""How a peer's address is written: for PHP as a client's id, and in logs."""

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.interfaces import IAddress

_IPV4_MAPPED = "::ffff:"


def peer_name(address: IAddress) -> str | None:
    """``127.0.0.1:51110`` or ``[::1]:51110``; ``None`` for a peer without address (UNIX sockets).

    An IPv4 peer of a dual-stack port (RFC 4291, section 2.5.5.2) is written as IPv4.
    """
    if not isinstance(address, (IPv4Address, IPv6Address)):
        return None
    host = address.host.removeprefix(_IPV4_MAPPED)
    return f"[{host}]:{address.port}" if ":" in host else f"{host}:{address.port}"
