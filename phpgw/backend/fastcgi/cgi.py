"""CGI (RFC 3875) as Nginx and PHP implement it: a script's environment, and its response."""

import os
import re
from collections.abc import Iterable
from functools import lru_cache
from posixpath import basename, dirname, normpath

from phpgw import __version__
from phpgw.backend.errors import BackendBroken
from phpgw.backend.event import Handshake
from phpgw.backend.headers import Header, browser_headers, check_not_compressed
from phpgw.backend.reply import Head

Pairs = list[tuple[bytes, bytes]]

# Names that are valid for Nginx. Its underscores_in_headers is off, since X_Y and X-Y would become
# the same variable.
_HEADER_NAME = re.compile(rb"[A-Za-z0-9-]+")
# Many HTTP libraries take their proxy from HTTP_PROXY (CVE-2016-5385). The others are true of the
# handshake, but not of the POST that the script gets.
_DROPPED = frozenset((b"PROXY", b"HOST", b"CONTENT-LENGTH", b"CONTENT-TYPE"))
_HOST = re.compile(rb"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::[0-9]*)?")

# An empty line; PHP ends lines with CRLF, RFC 3875 (section 6.3) has LF.
_END_OF_HEAD = re.compile(rb"(?:\A|\r?\n)\r?\n")
_STATUS = re.compile(rb"([1-9][0-9]{2})(?: .*)?")


class Script:
    """The part of the environment that depends on the script alone.

    :param path: the script's path as PHP sees it.
    :param document_root: the directory whose URL would be ``/``; by default the script's own.
    :raises ValueError: if the script is not within this directory.
    :ivar pairs: names and values.
    """

    def __init__(self, path: str, document_root: str | None = None) -> None:
        path = normpath(path)
        root = normpath(document_root or dirname(path))
        above = root.rstrip("/")
        if not (path.startswith(f"{above}/") and path.startswith("/") and basename(path)):
            raise ValueError(f"{path} is not within {root}")
        name = path.removeprefix(above)
        # As in Nginx's fastcgi_params; REDIRECT_STATUS is for a PHP that runs only behind a web
        # server (cgi.force_redirect).
        self.pairs: Pairs = [
            (b"GATEWAY_INTERFACE", b"CGI/1.1"),
            (b"SERVER_SOFTWARE", b"phpgw/" + __version__.encode()),
            (b"SERVER_PROTOCOL", b"HTTP/1.1"),
            (b"REQUEST_METHOD", b"POST"),
            (b"CONTENT_TYPE", b"application/x-www-form-urlencoded"),
            (b"SCRIPT_FILENAME", os.fsencode(path)),
            (b"SCRIPT_NAME", os.fsencode(name)),
            (b"DOCUMENT_URI", os.fsencode(name)),
            (b"DOCUMENT_ROOT", os.fsencode(root)),
            (b"REDIRECT_STATUS", b"200"),
        ]


def client_pairs(handshake: Handshake) -> Pairs:
    """Return the part of the environment that depends on the client, as Nginx's fastcgi_params."""
    host = _HOST.fullmatch(handshake.host)
    pairs = [
        (b"QUERY_STRING", handshake.query),
        (b"REQUEST_URI", b"?".join(filter(None, (handshake.path, handshake.query)))),
        (b"REQUEST_SCHEME", b"https" if handshake.is_secure else b"http"),
        *_address(b"REMOTE", handshake.peer_host, handshake.peer_port),
        *_address(b"SERVER", handshake.server_host, handshake.server_port),
        (b"SERVER_NAME", host[1].lower() if host else handshake.server_host.encode()),
    ]
    if handshake.is_secure:
        pairs.append((b"HTTPS", b"on"))
    if handshake.host:
        pairs.append((b"HTTP_HOST", handshake.host))
    return pairs + header_pairs(browser_headers(handshake))


def _address(whose: bytes, host: str, port: int) -> Pairs:
    """Return an address and a port; ``unix:`` for a UNIX socket, as in Nginx, and no port if 0."""
    return [
        (whose + b"_ADDR", host.encode() or b"unix:"),
        (whose + b"_PORT", b"%d" % port if port else b""),
    ]


def header_pairs(headers: Iterable[Header]) -> Pairs:
    """Return headers as variables (RFC 3875, section 4.1.18), with repeated ones joined."""
    values: dict[bytes, bytes] = {}
    for name, value in headers:
        name = name.upper()
        if name in _DROPPED or not _HEADER_NAME.fullmatch(name):
            continue
        if name in values:
            value = values[name] + (b"; " if name == b"COOKIE" else b", ") + value
        values[name] = value
    return [(pair_name(name), value) for name, value in values.items()]


def pair_name(header: bytes) -> bytes:
    """Return the name of the variable for a header."""
    return b"HTTP_" + header.upper().replace(b"-", b"_")


def find_head(output: bytes | bytearray, start: int = 0) -> tuple[Head, bytes] | None:
    """Return the head, and what there is of the body; ``None`` while the head is incomplete.

    :param start: where to search for the head's end, if it is known not to be before.
    :raises BackendBroken: if the head is invalid.
    """
    end = _END_OF_HEAD.search(output, start)
    return end and (_parse_head(bytes(output[: end.start()])), bytes(output[end.end() :]))


def split_response(output: bytes) -> tuple[Head, bytes]:
    """Return the head and the body of a complete response.

    :raises BackendBroken: if it has no valid head.
    """
    parts = find_head(output)
    if parts is None:
        raise BackendBroken("PHP's reply has no end to its headers")
    return parts


@lru_cache(maxsize=16)
def _parse_head(text: bytes) -> Head:
    """Parse a head's lines; heads that repeat are taken from a cache."""
    headers = []
    for line in filter(None, text.split(b"\n")):
        name, colon, value = line.partition(b":")
        if not colon:
            raise BackendBroken("PHP's reply has a header without a colon")
        headers.append((name.strip().lower(), value.strip()))
    check_not_compressed(value for name, value in headers if name == b"content-encoding")
    # RFC 3875, section 6.3.3: Status is for the gateway, and no header of the reply.
    rest = tuple(header for header in headers if header[0] != b"status")
    return Head(_status(dict(headers)), rest)


def _status(headers: dict[bytes, bytes]) -> int:
    """Return the status: section 6.3.3, and 6.2.3 for a location without a status."""
    text = headers.get(b"status", b"302" if b"location" in headers else b"200")
    status = _STATUS.fullmatch(text)
    if status is None:
        raise BackendBroken("PHP's reply has an invalid status")
    return int(status[1])
