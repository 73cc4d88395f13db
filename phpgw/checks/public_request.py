"""Requests by the public way, and what came back."""

import base64
import re
import secrets
import socket
import time
from collections.abc import Mapping, Sequence

import attrs

from phpgw import __version__
from phpgw.checks.public_url import PublicUrl
from phpgw.web.public_probes import HEADER, QUERY_PARAMETER, SUBPROTOCOL

# An address that is nobody's (RFC 5737), as a visitor could forge it.
FORGED_ADDRESS = "192.0.2.1"
_COOKIE = "phpgw-check=1"
_MAX_HEAD, _MAX_BODY = 65536, 4096
_MAX_SHOWN = 150
_MIN_TIMEOUT = 0.001
_STATUS_LINE = re.compile(rb"HTTP/1\.[01] ([0-9]{3})(?: [^\r\n]*)?\r?\n")
_END_OF_HEAD = re.compile(rb"\r?\n\r?\n")
# The frame type of HTTP/2 at its place (RFC 9113, section 4.1): SETTINGS, then flags and stream 0.
_HTTP_2 = re.compile(rb"...\x04[\x00\x01]\x00\x00\x00\x00", re.DOTALL)


@attrs.frozen
class PublicResponse:
    """A response.

    :ivar status: 0 if what came is not HTTP/1.
    :ivar headers: by names in lower case; the last one of each.
    :ivar body: what of it has come with the head; without a status, all that has come.
    :ivar problem: why there is no status: ``closed``, ``timeout``, ``HTTP/2`` or ``not HTTP``.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    problem: str = ""

    def describe(self) -> str:
        """Return it in a line. Foreign text is in it."""
        if self.problem:
            return f"{self.problem}: {self.body[:60]!r}" if self.body else self.problem
        server = f" of {self.headers['server'][:_MAX_SHOWN]}" if "server" in self.headers else ""
        text = " ".join(re.sub(rb"<[^>]{0,200}>", b" ", self.body[:400]).decode("latin-1").split())
        return f"status {self.status}{server}: {text[:_MAX_SHOWN]}"

    def location(self) -> str:
        """Return where a redirect leads to; as much of it as people read."""
        return self.headers.get("location", "")[:_MAX_SHOWN]


def handshake(url: PublicUrl, token: str, origin: str) -> bytes:
    """Return the handshake of a probe: as of a browser, with a token in each of its places."""
    query = f"{url.query}&" if url.query else ""
    return _request(
        f"{url.path}?{query}{QUERY_PARAMETER}={token}",
        (
            ("Host", url.netloc),
            ("Upgrade", "websocket"),
            ("Connection", "Upgrade"),
            ("Sec-WebSocket-Key", base64.b64encode(secrets.token_bytes(16)).decode()),
            ("Sec-WebSocket-Version", "13"),
            ("Sec-WebSocket-Protocol", f"{SUBPROTOCOL}{token}"),
            ("Origin", origin),
            ("Cookie", _COOKIE),
            ("User-Agent", f"phpgw-check/{__version__}"),
            ("X-Forwarded-For", FORGED_ADDRESS),
            (HEADER.decode(), token),
        ),
    )


def plain_request(url: PublicUrl, target: str) -> bytes:
    """Return a plain GET request."""
    return _request(
        target,
        (
            ("Host", url.netloc),
            ("User-Agent", f"phpgw-check/{__version__}"),
            ("Accept", "*/*"),
            ("Connection", "close"),
        ),
    )


def exchange(connection: socket.socket, request: bytes) -> PublicResponse:
    """Send a request, and return the response's head and the beginning of its body.

    :param connection: its timeout is for all of that.

    :raises OSError: if the connection breaks.
    """
    connection.sendall(request)
    data = b""
    until = time.monotonic() + (connection.gettimeout() or 0)
    try:
        while len(data) < _MAX_HEAD and not _is_complete(data):
            # A server that sends a byte now and then has no more time than others.
            connection.settimeout(max(_MIN_TIMEOUT, until - time.monotonic()))
            if time.monotonic() > until:
                break
            more = connection.recv(_MAX_HEAD)
            if not more:
                break
            data += more
    except TimeoutError:
        if not data:
            return PublicResponse(0, {}, b"", "timeout")
    except ConnectionError:
        if not data:
            return PublicResponse(0, {}, b"", "closed")
    return _parse(data)


def _request(target: str, headers: Sequence[tuple[str, str]]) -> bytes:
    lines = [f"GET {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers)]
    return "\r\n".join([*lines, "", ""]).encode()


def _is_complete(data: bytes) -> bool:
    """Return whether the head is there, and a body that it promises has begun."""
    end = _END_OF_HEAD.search(data)
    if end is None:
        return bool(data) and not b"HTTP/1.".startswith(data[:7])
    has_body = not data.startswith((b"HTTP/1.1 101", b"HTTP/1.1 204"))
    has_none = b"\r\ncontent-length: 0\r\n" in data[: end.end()].lower()
    return not has_body or has_none or len(data) > end.end()


def _parse(data: bytes) -> PublicResponse:
    line = _STATUS_LINE.match(data)
    if line is None:
        problem = "HTTP/2" if _HTTP_2.match(data) else "not HTTP" if data else "closed"
        return PublicResponse(0, {}, data[:_MAX_BODY], problem)
    end = _END_OF_HEAD.search(data)
    head = data[line.end() : end.start() if end else len(data)].decode("latin-1")
    pairs = (field.partition(":") for field in head.splitlines())
    headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
    body = data[end.end() :] if end else b""
    return PublicResponse(int(line[1]), headers, body[:_MAX_BODY])
