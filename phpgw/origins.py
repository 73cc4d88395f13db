"""The Origin header (RFC 6454, section 7): the site of the page that connects."""

import re

import attrs

from phpgw.hosts import host_name

_ORIGIN = re.compile(r"([a-z][a-z0-9+.-]*)://([^/]*)", re.IGNORECASE | re.ASCII)
_PORT = re.compile(r":([0-9]{1,5})\Z", re.ASCII)
_DEFAULT_PORTS = {"http": 80, "https": 443}
_HIGHEST_PORT = 65535


@attrs.frozen
class Origin:
    """An origin as a browser writes it.

    :ivar scheme: in lower case: ``https``, or an app's or an extension's own.
    :ivar host: in lower case, without brackets; empty for ``file://``.
    :ivar port: ``None`` where it is the usual one, or where there is none.
    """

    scheme: str
    host: str
    port: int | None

    @property
    def is_web(self) -> bool:
        """Tell whether it is a website's: apps, extensions and files have schemes of their own."""
        return self.scheme in _DEFAULT_PORTS

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}" + ("" if self.port is None else f":{self.port}")


def read_origin(header: bytes) -> Origin | None:
    """Read an Origin header.

    :returns: ``None`` for ``null``, and for what no browser writes.
    """
    match = _ORIGIN.fullmatch(header.decode("latin-1"))
    if match is None:
        return None
    scheme, authority = match[1].lower(), match[2]
    host = host_name(authority.encode("latin-1"))
    if host is None or authority.endswith(":") or (not host and scheme in _DEFAULT_PORTS):
        return None
    found = _PORT.search(authority)
    port = int(found[1]) if found else None
    if port is not None and not 0 < port <= _HIGHEST_PORT:
        return None
    return Origin(scheme, host, None if port == _DEFAULT_PORTS.get(scheme) else port)
