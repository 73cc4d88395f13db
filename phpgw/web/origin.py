"""The Origin header (RFC 6454, section 7), and patterns for ``--allow-origin``."""

import re

import attrs

from phpgw.web.host import parse_host

_ORIGIN = re.compile(r"([a-z][a-z0-9+.-]*)://([^/]*)", re.IGNORECASE | re.ASCII)
_PORT = re.compile(r":([0-9]{1,5})\Z", re.ASCII)
_SCHEME_ONLY = re.compile(r"[a-z][a-z0-9+.-]*://")
# A host that ends in a number is not a name: URL standard, section 3.5.
_PARENT_DOMAIN = re.compile(r"localhost|(?:[a-z0-9_-]+\.)+(?![0-9]+\Z)[a-z0-9_-]+")
# Documents with these schemes have an opaque origin.
_OPAQUE_SCHEMES = frozenset(("about", "blob", "data", "javascript"))
_DEFAULT_PORTS = {"http": 80, "https": 443}
_MAX_PORT = 65535


@attrs.frozen
class Origin:
    """An origin.

    :ivar scheme: in lower case: ``https``, or the scheme of an app or an extension.
    :ivar host: in lower case, without brackets; empty for ``file://``.
    :ivar port: ``None`` for the scheme's default port, or if there is none.
    """

    scheme: str
    host: str
    port: int | None

    @property
    def is_web(self) -> bool:
        """Return whether the origin is a website, and not an app, an extension or a file."""
        return self.scheme in _DEFAULT_PORTS

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}" + ("" if self.port is None else f":{self.port}")


def parse_origin(header: bytes) -> Origin | None:
    """Parse an Origin header.

    :returns: ``None`` for ``null``, and for values that no browser sends.
    """
    match = _ORIGIN.fullmatch(header.decode("latin-1"))
    if match is None:
        return None
    scheme, authority = match[1].lower(), match[2]
    host = parse_host(authority.encode("latin-1"))
    if host is None or authority.endswith(":") or (not host and scheme in _DEFAULT_PORTS):
        return None
    if scheme in _OPAQUE_SCHEMES:
        return None
    found = _PORT.search(authority)
    port = int(found[1]) if found else None
    if port is not None and not 0 < port <= _MAX_PORT:
        return None
    return Origin(scheme, host, None if port == _DEFAULT_PORTS.get(scheme) else port)


@attrs.frozen
class OriginPattern:
    """A pattern for one origin or several: a value of ``--allow-origin``.

    :ivar scheme: empty for ``null``.
    :ivar host: starts with ``*.`` for all subdomains; empty for any host, with the scheme of an app
        or an extension.
    """

    scheme: str
    host: str
    port: int | None

    def matches(self, header: bytes) -> bool:
        """Return whether the pattern matches an Origin header."""
        if not self.scheme:
            return header == b"null"
        origin = parse_origin(header)
        if origin is None or (origin.scheme, origin.port) != (self.scheme, self.port):
            return False
        if self.host.startswith("*."):
            name, dot, _ = origin.host.rpartition(self.host[1:])
            return origin.host == name + dot and all(name.split("."))
        return origin.host == self.host or not self.host

    def __str__(self) -> str:
        return str(Origin(self.scheme, self.host, self.port)) if self.scheme else "null"


def parse_origin_pattern(text: str) -> OriginPattern:
    """Parse a pattern for origins.

    :raises ValueError: if it is invalid; the text says what is expected.
    """
    text = text.strip().lower()
    if text == "null":
        return OriginPattern("", "", None)
    if text.endswith("/") and not _SCHEME_ONLY.fullmatch(text):
        text = text[:-1]
    if text.startswith(("ws://", "wss://")):
        raise ValueError("an origin as pages have it, with http or https in place of ws and wss")
    before, wildcard, after = text.partition("://*.")
    origin = parse_origin(f"{before}://{after}".encode() if wildcard else text.encode())
    if origin is None:
        raise ValueError("an origin, like https://app.example.com, without a path")
    if not wildcard:
        return OriginPattern(origin.scheme, origin.host, origin.port)
    if not (origin.is_web and _PARENT_DOMAIN.fullmatch(origin.host)):
        raise ValueError("a name of two parts at least behind *., like https://*.example.com")
    return OriginPattern(origin.scheme, f"*.{origin.host}", origin.port)
