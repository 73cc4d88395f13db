"""What a request says that it was made to: RFC 9110, section 7.2."""

import re
from functools import lru_cache
from ipaddress import ip_address

# Names in DNS, which browsers write in ASCII, and IP addresses; a port may follow.
_HOST = re.compile(rb"(?:\[([0-9a-f:.]+)\]|([a-z0-9._-]*))(?::[0-9]{0,5})?", re.IGNORECASE)


def host_name(header: bytes) -> str | None:
    """The name or the address in a Host header, without a port, in lower case.

    :returns: ``None`` if it is malformed; an empty string if it is empty.
    """
    match = _HOST.fullmatch(header)
    if match is None:
        return None
    literal, name = match.groups()
    return (literal or name).decode("ascii").lower()


@lru_cache(maxsize=256)
def is_nobodys(name: str) -> bool:
    """Whether no stranger can have a name in DNS, and let it be an address of ours.

    Browsers take a page of ``http://evil.example`` to be of the same origin as what that name
    leads to later (DNS rebinding); what they say in Host is still that name.

    :param name: in lower case, as of :func:`host_name`.
    """
    name = name.removesuffix(".")
    # RFC 6761, section 6.3, for localhost. Names without a dot are for one network alone.
    if name and ("." not in name or name.endswith(".localhost")):
        return True
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
