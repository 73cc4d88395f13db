"""The address that pages of the site connect to."""

import re
from urllib.parse import quote, urlsplit

import attrs

from phpgw.settings.parsers import duration
from phpgw.web.origin import parse_origin

_HOST = re.compile(r"[A-Za-z0-9._-]+|[0-9A-Fa-f:.]+")
# Characters of paths that mean nothing in the configuration of a server, or in JavaScript. All
# others are percent-encoded: lines with the URL are copied there.
_SAFE = "/%:@,~=+&!*()"
_PORTS = {"ws": 80, "wss": 443}
_MAX_IDLE = 600.0
_EXPECTED = "the URL that pages connect to, like wss://example.com/ws"


@attrs.frozen
class PublicUrl:
    """A ``ws:`` or ``wss:`` URL.

    :ivar path: percent-encoded, at least a slash.
    """

    scheme: str
    host: str
    port: int
    path: str
    query: str = ""

    @property
    def is_secure(self) -> bool:
        """Return whether it is TLS."""
        return self.scheme == "wss"

    @property
    def netloc(self) -> str:
        """Return the value of the Host header (RFC 9110, section 7.2)."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def origin(self) -> str:
        """Return the origin of the pages of the same site."""
        return f"http{'s' if self.is_secure else ''}://{self.netloc}"

    def __str__(self) -> str:
        query = f"?{self.query}" if self.query else ""
        return f"{self.scheme}://{self.netloc}{self.path}{query}"


def parse_public_url(text: str) -> PublicUrl:
    """Return the URL in a text.

    :raises ValueError: if there is none; the text says what is expected.
    """
    try:
        url = urlsplit(text)
        port = url.port
    except ValueError:
        raise ValueError(_EXPECTED) from None
    is_plain = text.isascii() and text.isprintable() and " " not in text
    if url.scheme not in _PORTS or not _HOST.fullmatch(url.hostname or "") or not is_plain:
        raise ValueError(_EXPECTED)
    if "@" in url.netloc:
        raise ValueError(_EXPECTED)
    return PublicUrl(
        url.scheme,
        url.hostname or "",
        port or _PORTS[url.scheme],
        quote(url.path or "/", safe=_SAFE),
        quote(url.query, safe=f"{_SAFE}?"),
    )


def parse_page_origin(text: str) -> str:
    """Return the origin of pages in a text.

    :raises ValueError: if there is none; the text says what is expected.
    """
    origin = parse_origin(text.encode("latin-1", "replace"))
    if origin is None or not origin.is_web:
        raise ValueError("the origin of pages, like https://www.example.com")
    return str(origin)


def parse_idle(text: str) -> float:
    """Return the seconds for which a silent connection has to last.

    :raises ValueError: if they are too many, or none; the text says what is expected.
    """
    seconds = duration(text)
    if not 0 < seconds <= _MAX_IDLE:
        raise ValueError("a time up to 10m, like 2m")
    return seconds
