"""How the two ends of a connection are written: for PHP, as a client's id, and in logs."""

import re
from collections.abc import Hashable
from functools import lru_cache
from ipaddress import IPv6Address as IPAddressV6
from ipaddress import ip_address

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.interfaces import IAddress

# What a provider gives to one customer at least: RFC 6177, section 2.
_IPV6_NETWORK_BITS = 64
# With a zone, for a link-local address. Through the PROXY protocol there may come anything.
_HOST = re.compile(r"[0-9a-f:.]+(?:%[\w.-]+)?", re.IGNORECASE | re.ASCII)


def host_and_port(address: IAddress) -> tuple[str, int]:
    """An IP address and its port; an empty string and 0 for a UNIX socket.

    An IPv4 peer of a dual-stack port (RFC 4291, section 2.5.5.2) is written as IPv4.
    """
    if isinstance(address, (IPv4Address, IPv6Address)):
        host = _written(address.host)
        return host, address.port if host else 0
    return "", 0


@lru_cache(maxsize=1024)
def _written(host: str) -> str:
    """An IP address in the usual way; an empty string if it is none."""
    if not _HOST.fullmatch(host):
        return ""
    try:
        address = ip_address(host)
    except ValueError:
        return ""
    mapped = address.ipv4_mapped if isinstance(address, IPAddressV6) else None
    return str(mapped or address)


def peer_name(address: IAddress) -> str | None:
    """``127.0.0.1:51110`` or ``[::1]:51110``; ``None`` for a peer on a UNIX socket."""
    host, port = host_and_port(address)
    if not host:
        return None
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


# Each is asked for three times, mostly soon.
@lru_cache(maxsize=1024)
def network_of(host: str) -> Hashable:
    """Return the network that an address is counted for; ``None`` for one of this machine."""
    try:
        address = ip_address(host)
    except ValueError:
        return host or None
    if isinstance(address, IPAddressV6) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    if address.is_loopback:
        return None
    if isinstance(address, IPAddressV6):
        return int(address) >> (address.max_prefixlen - _IPV6_NETWORK_BITS)
    return str(address)
