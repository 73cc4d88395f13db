"""CGI (RFC 3875) as Nginx and PHP speak it: a script's environment, and its answer."""

import os
import re
from collections.abc import Iterable
from functools import lru_cache
from posixpath import basename, dirname, normpath

from phpgw import __version__
from phpgw.backend.errors import BackendBroken
from phpgw.backend.event import Handshake
from phpgw.backend.headers import Header, browser_headers, check_encoding
from phpgw.backend.reply import Head

Pairs = list[tuple[bytes, bytes]]

# Names that Nginx takes for valid. Its underscores_in_headers is off, since X_Y and X-Y would
# arrive under the same name.
_HEADER_NAME = re.compile(rb"[A-Za-z0-9-]+")
# HTTP_PROXY is what many an HTTP library takes its proxy from (CVE-2016-5385). The others say
# what the handshake was, while the script gets a POST.
_DROPPED = frozenset((b"PROXY", b"HOST", b"CONTENT-LENGTH", b"CONTENT-TYPE"))
_HOST = re.compile(rb"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::[0-9]*)?")

# An empty line; PHP ends lines with CRLF, RFC 3875 (section 6.3) has LF.
_END_OF_HEAD = re.compile(rb"(?:\A|\r?\n)\r?\n")
_STATUS = re.compile(rb"([1-9][0-9]{2})(?: .*)?")


class Script:
    """The script that is run, as its environment has it.

    :param path: where PHP finds it.
    :param document_root: the directory whose URL would be ``/``; by default the script's own.
    :raises ValueError: if the one is not within the other.
    """

    def __init__(self, path: str, document_root: str | None = None) -> None:
        path = normpath(path)
        root = normpath(document_root or dirname(path))
        above = root.rstrip("/")
        if not (path.startswith(f"{above}/") and path.startswith("/") and basename(path)):
            raise ValueError(f"{path} is not within {root}")
        name = path.removeprefix(above)
        # As in Nginx's fastcgi_params; REDIRECT_STATUS is for a PHP that wants to see that a
        # web server was there.
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
    """What the environment says about a client: Nginx's fastcgi_params, and its headers."""
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
    """Nginx's words for a UNIX socket are these, too; and a proxy seldom tells a port."""
    return [
        (whose + b"_ADDR", host.encode() or b"unix:"),
        (whose + b"_PORT", b"%d" % port if port else b""),
    ]


def header_pairs(headers: Iterable[Header]) -> Pairs:
    """RFC 3875, section 4.1.18; a name has one value, so those of a repeated one are joined."""
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
    """Under which name a script finds a header."""
    return b"HTTP_" + header.upper().replace(b"-", b"_")


def find_head(output: bytes | bytearray, start: int = 0) -> tuple[Head, bytes] | None:
    """Take a script's output apart as far as it goes; ``None`` while its head has no end.

    :param start: where the end is looked for, if it is known not to be before.
    :raises BackendBroken: if it has no proper head.
    """
    end = _END_OF_HEAD.search(output, start)
    return end and (_parse_head(bytes(output[: end.start()])), bytes(output[end.end() :]))


def split_answer(output: bytes) -> tuple[Head, bytes]:
    """Take a script's whole output apart.

    :raises BackendBroken: if it has no proper head.
    """
    parts = find_head(output)
    if parts is None:
        raise BackendBroken("PHP's answer has no end to its headers")
    return parts


@lru_cache(maxsize=16)
def _parse_head(text: bytes) -> Head:
    """Parse a head's lines; those that a script sends again and again, once."""
    headers = []
    for line in filter(None, text.split(b"\n")):
        name, colon, value = line.partition(b":")
        if not colon:
            raise BackendBroken("PHP's answer has a header without a colon")
        headers.append((name.strip().lower(), value.strip()))
    check_encoding(value for name, value in headers if name == b"content-encoding")
    # RFC 3875, section 6.3.3: it is a word to the gateway, and no header of the answer.
    rest = tuple(header for header in headers if header[0] != b"status")
    return Head(_status(dict(headers)), rest)


def _status(headers: dict[bytes, bytes]) -> int:
    """Section 6.3.3; a script that names a place and no status redirects: section 6.2.3."""
    text = headers.get(b"status", b"302" if b"location" in headers else b"200")
    status = _STATUS.fullmatch(text)
    if status is None:
        raise BackendBroken("PHP's answer has a status that is none")
    return int(status[1])
