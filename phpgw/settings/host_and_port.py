"""A host and a TCP port, as they stand in URLs."""

import re

import attrs

# A name or an address, an IPv6 address in brackets, and a port.
_HOST = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]{1,253}))(?::([0-9]{1,5}))?")


@attrs.frozen
class HostAndPort:
    """A host and a TCP port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_host_and_port(text: str, default_port: int | None = None) -> HostAndPort | None:
    """Return the host and the port in ``HOST:PORT``, ``HOST`` or ``[IPV6]:PORT``.

    :param default_port: the port of a text without one; ``None`` if there must be one.
    :returns: ``None`` if the text is something else.
    """
    match = _HOST.fullmatch(text)
    if match is None:
        return None
    port = int(match[3]) if match[3] else default_port
    if port is None or not 0 < port < 65536:
        return None
    return HostAndPort(match[1] or match[2], port)
