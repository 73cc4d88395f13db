"""What a request says that it was made to: RFC 9110, section 7.2."""

import re
from functools import lru_cache
from ipaddress import IPv6Address, ip_address

# Names in DNS, which browsers write in ASCII, and IP addresses; a port may follow. A link-local
# address has a zone behind it, with its percent sign as it is or encoded (RFC 6874, section 2).
_HOST = re.compile(
    rb"(?:\[([0-9a-f:.]+)(?:%[0-9a-z._~-]+)?\]|([a-z0-9._-]*))(?::[0-9]{0,5})?", re.IGNORECASE
)
# What Docker and Podman call the machine that a container runs on.
_CONTAINER_HOSTS = frozenset(("host.docker.internal", "host.containers.internal"))


def parse_host(header: bytes) -> str | None:
    """Return the name or the address in a Host header, without port and zone, in lower case.

    :returns: ``None`` if it is malformed; an empty string if it is empty.
    """
    match = _HOST.fullmatch(header)
    if match is None:
        return None
    literal, name = match.groups()
    return (literal or name).decode("ascii").lower()


@lru_cache(maxsize=256)
def is_safe_from_rebinding(name: str) -> bool:
    """Tell whether no stranger can have a name in DNS, and let it be an address of ours.

    Browsers take a page of ``http://evil.example`` to be of the same origin as what that name
    leads to later (DNS rebinding); what they say in Host is still that name.

    :param name: in lower case, as of :func:`parse_host`.
    """
    name = name.removesuffix(".")
    # RFC 6761, section 6.3, for localhost; ICANN keeps .internal for private use. Names without a
    # dot are for one network alone.
    if name and ("." not in name or name.endswith((".localhost", ".internal"))):
        return True
    return is_ip_address(name)


@lru_cache(maxsize=256)
def refers_to_this_machine(name: str) -> bool:
    """Tell whether a name or an address leads whoever uses it to the machine that they are on.

    :param name: in lower case, as of :func:`parse_host`.
    """
    name = name.removesuffix(".")
    if name == "localhost" or name.endswith(".localhost") or name in _CONTAINER_HOSTS:
        return True
    # 0.0.0.0 and :: are where programs listen, and are often used to connect there.
    return is_ip_address(name) and (is_loopback(name) or ip_address(name).is_unspecified)


@lru_cache(maxsize=1024)
def is_loopback(address: str) -> bool:
    """Tell whether an IP address, perhaps with a zone, is a loopback address."""
    ip = ip_address(address.partition("%")[0])
    mapped = ip.ipv4_mapped if isinstance(ip, IPv6Address) else None
    return (mapped or ip).is_loopback


@lru_cache(maxsize=256)
def is_ip_address(name: str) -> bool:
    """Tell whether a host is given by an IP address."""
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
