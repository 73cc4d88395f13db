"""How the text of an option becomes its value: one function for each kind of value.

Each takes the text as it was given and returns the value, or raises :exc:`ValueError` whose
message says what would be right.
"""

import re
from collections.abc import Callable
from pathlib import Path
from pwd import getpwnam
from urllib.parse import urlsplit, urlunsplit

_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|)")
_DURATION_UNITS = {"ms": 0.001, "s": 1.0, "": 1.0, "m": 60.0, "h": 3600.0}
_SIZE = re.compile(r"(\d+)\s*([kmg]?)(?:i?b)?", re.IGNORECASE)
_SIZE_UNITS = {"": 1, "k": 1024, "m": 1024**2, "g": 1024**3}
_PRINTABLE = re.compile(r"[\x21-\x7e]+")
_ADDRESS = re.compile(r"[A-Za-z0-9.-]+:[0-9]+")
_ENDPOINT = re.compile(r"[a-z][a-z0-9]*:.+")


def duration(text: str) -> float:
    """Seconds from ``10``, ``2.5``, ``500ms``, ``10s``, ``5m`` or ``1h``; 0 is allowed."""
    match = _DURATION.fullmatch(text.strip())
    if match is None:
        raise ValueError("a number of seconds, or one with a unit: 500ms, 10s, 5m, 1h")
    return float(match[1]) * _DURATION_UNITS[match[2]]


def positive_duration(text: str) -> float:
    """Like :func:`duration`, but not 0."""
    seconds = duration(text)
    if not seconds:
        raise ValueError("more than 0 seconds")
    return seconds


def size(text: str) -> int:
    """Bytes from ``65536``, ``64K``, ``1M`` or ``1G`` (powers of 1024); at least 1."""
    match = _SIZE.fullmatch(text.strip())
    if match is None or not int(match[1]):
        raise ValueError("a number of bytes above 0, or one with a unit: 64K, 1M, 1G")
    return int(match[1]) * _SIZE_UNITS[match[2].lower()]


def count(text: str) -> int:
    """A whole number, at least 1."""
    if not text.strip().isdecimal() or not int(text):
        raise ValueError("a whole number above 0")
    return int(text)


def switch(text: str) -> bool:
    """``on`` or ``off``."""
    try:
        return {"on": True, "off": False}[text.strip().lower()]
    except KeyError:
        raise ValueError("on or off") from None


def one_of(*choices: str) -> Callable[[str], str]:
    """A parser for exactly one of these words."""

    def parse(text: str) -> str:
        if text not in choices:
            raise ValueError(f"one of {', '.join(choices)}")
        return text

    return parse


def message_text(text: str) -> str:
    """Any text that has a form in UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("text in UTF-8") from None
    return text


def existing_file(text: str) -> Path:
    """The path of a file that is there."""
    path = Path(text)
    try:
        if path.is_file():
            return path
    except OSError as error:
        raise ValueError(f"the path of a file that can be read ({error.strerror})") from None
    raise ValueError("the path of a file that exists")


def absolute_path(text: str) -> str:
    """A path, which need not be there; a relative one starts at the working directory."""
    if not text or "\0" in text:
        raise ValueError("a path, like /srv/app/websocket.php")
    return str(Path(text).absolute())


def user_name(text: str) -> str:
    """A user of this system."""
    try:
        getpwnam(text)
    except (KeyError, ValueError):
        raise ValueError("the name of a user of this system") from None
    return text


def url_path(text: str) -> str:
    """The path of a URL, as ``/ws``: segments of letters, digits and ``-._~``."""
    if not re.fullmatch(r"(?:/[A-Za-z0-9._~-]+)+", text):
        raise ValueError("a path that starts with a slash, like /ws")
    return text


def http_url(text: str) -> str:
    """An absolute ``http:`` or ``https:`` URL in ASCII, without user name or fragment."""
    expected = "an absolute URL, like http://localhost/websocket.php"
    if not _PRINTABLE.fullmatch(text):
        raise ValueError(expected + ", in ASCII without blanks (other characters %-encoded)")
    try:
        url = urlsplit(text)
        port = url.port
    except ValueError:
        raise ValueError(expected) from None
    if url.scheme not in ("http", "https") or not url.hostname or port == 0:
        raise ValueError(expected)
    if "@" in url.netloc or "#" in text:
        raise ValueError(expected + ", without user name and without #fragment")
    return urlunsplit(url._replace(path=url.path or "/"))


def server_endpoint(text: str) -> str:
    """A Twisted server endpoint string; a bare number is a TCP port.

    See ``twisted.internet.endpoints.serverFromString``.
    """
    text = text.strip()
    if text.isascii() and text.isdecimal():
        text = f"tcp:{text}"
    if not _ENDPOINT.fullmatch(text):
        raise ValueError(
            "a Twisted server endpoint, like tcp:8080, tcp:8080:interface=127.0.0.1, "
            "unix:/run/phpgw.sock or ssl:8443:privateKey=key.pem:certKey=cert.pem"
        )
    return text


def client_endpoint(text: str) -> str:
    """A Twisted client endpoint string; also a bare path of a UNIX socket, or HOST:PORT.

    See ``twisted.internet.endpoints.clientFromString``.
    """
    text = text.strip()
    if text.startswith("/"):
        text = f"unix:{text}"
    if _ADDRESS.fullmatch(text):
        text = f"tcp:{text}"
    if not _ENDPOINT.fullmatch(text):
        raise ValueError(
            "a Twisted client endpoint, like unix:/run/php/php8.2-fpm.sock or tcp:127.0.0.1:9000"
        )
    return text
