"""IP addresses of peers: normalized, as text, and the networks that limits apply to."""

import re
from collections.abc import Hashable
from functools import lru_cache
from ipaddress import IPv6Address as IPAddressV6
from ipaddress import ip_address

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.interfaces import IAddress

# The smallest network that a provider gives to one customer: RFC 6177, section 2.
_IPV6_PREFIX_BITS = 64
# A link-local address has a zone. The PROXY protocol may bring any text.
_ADDRESS = re.compile(r"[0-9a-f:.]+(?:%[\w.-]+)?", re.IGNORECASE | re.ASCII)


def host_and_port(address: IAddress) -> tuple[str, int]:
    """Return an IP address and its port; an empty string and 0 for a UNIX socket.

    An IPv4 peer of a dual-stack port (RFC 4291, section 2.5.5.2) is returned as IPv4.
    """
    if isinstance(address, (IPv4Address, IPv6Address)):
        host = _normalized(address.host)
        return host, address.port if host else 0
    return "", 0


@lru_cache(maxsize=1024)
def _normalized(host: str) -> str:
    """Return an IP address in its usual form; an empty string if the text is not one."""
    if not _ADDRESS.fullmatch(host):
        return ""
    try:
        address = ip_address(host)
    except ValueError:
        return ""
    mapped = address.ipv4_mapped if isinstance(address, IPAddressV6) else None
    return str(mapped or address)


def peer_name(address: IAddress) -> str | None:
    """Return ``127.0.0.1:51110`` or ``[::1]:51110``; ``None`` for a peer on a UNIX socket."""
    host, port = host_and_port(address)
    if not host:
        return None
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


# Called about three times for each connection, within a short time.
@lru_cache(maxsize=1024)
def network_of(host: str) -> Hashable:
    """Return the network that an address counts for in limits; ``None`` for this machine.

    It is the address itself for IPv4, and the /64 network for IPv6.
    """
    try:
        address = ip_address(host)
    except ValueError:
        return host or None
    if isinstance(address, IPAddressV6) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    if address.is_loopback:
        return None
    if isinstance(address, IPAddressV6):
        return int(address) >> (address.max_prefixlen - _IPV6_PREFIX_BITS)
    return str(address)
