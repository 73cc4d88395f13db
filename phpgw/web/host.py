"""The Host header (RFC 9110, section 7.2), and what the host in it refers to."""

import re
from functools import lru_cache
from ipaddress import IPv6Address, ip_address

# A DNS name (browsers write it in ASCII) or an IP address, with an optional port. A link-local
# address has a zone. Its percent sign may be encoded (RFC 6874, section 2).
_HOST = re.compile(
    rb"(?:\[([0-9a-f:.]+)(?:%[0-9a-z._~-]+)?\]|([a-z0-9._-]*))(?::[0-9]{0,5})?", re.IGNORECASE
)
# The names of Docker and Podman for the machine that a container runs on.
_CONTAINER_HOSTS = frozenset(("host.docker.internal", "host.containers.internal"))


# A site is reached by a few names.
@lru_cache(maxsize=256)
def parse_host(header: bytes) -> str | None:
    """Return the DNS name or the IP address of a Host header, in lower case, without port and zone.

    :returns: ``None`` if it is malformed; an empty string if it is empty.
    """
    match = _HOST.fullmatch(header)
    if match is None:
        return None
    literal, name = match.groups()
    return (literal or name).decode("ascii").lower()


@lru_cache(maxsize=256)
def is_safe_from_rebinding(name: str) -> bool:
    """Return whether a Host value cannot be used for DNS rebinding.

    With DNS rebinding, an attacker lets the name ``evil.example`` resolve to an address of this
    machine, after the browser has loaded a page from it. The browser then treats the gateway as the
    same origin. But the Host header still contains the attacker's name.

    :param name: in lower case, as of :func:`parse_host`.
    """
    name = name.removesuffix(".")
    # RFC 6761, section 6.3, reserves localhost. ICANN reserves .internal for private use. Names
    # without a dot exist only in a local network.
    if name and ("." not in name or name.endswith((".localhost", ".internal"))):
        return True
    return is_ip_address(name)


@lru_cache(maxsize=256)
def refers_to_this_machine(name: str) -> bool:
    """Return whether a name or an address refers to the machine on which it is used.

    :param name: in lower case, as of :func:`parse_host`.
    """
    name = name.removesuffix(".")
    if name == "localhost" or name.endswith(".localhost") or name in _CONTAINER_HOSTS:
        return True
    # Programs listen on 0.0.0.0 and ::, and people also use these addresses to connect.
    return is_ip_address(name) and (is_loopback(name) or ip_address(name).is_unspecified)


@lru_cache(maxsize=1024)
def is_loopback(address: str) -> bool:
    """Return whether an IP address is a loopback address. It may have a zone."""
    ip = ip_address(address.partition("%")[0])
    mapped = ip.ipv4_mapped if isinstance(ip, IPv6Address) else None
    return (mapped or ip).is_loopback


@lru_cache(maxsize=256)
def is_ip_address(name: str) -> bool:
    """Return whether a host is an IP address, and not a name."""
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
