"""Handshakes as browsers and most clients make them, read without twisted.web.

A plain handshake comes complete, in one piece and with nothing behind it, and a regular expression
can parse it. The checks are those of any other handshake. If it is not plain, or not accepted, it
is left to twisted.web and the resources, so that each refusal is made in one place.

In memory, a connection with its handshake and its close takes 70 us of CPU, and 130 without.
"""

import re
from typing import Any

from twisted.internet.interfaces import IAddress, ISSLTransport

from phpgw.web.fast_path_site import HEADER_LINES, FastPathChannel, IFastPath
from phpgw.web.host import parse_host
from phpgw.web.public_probes import PublicProbes
from phpgw.websocket.handshake import WebSocketResource

_MAX_HEAD_SIZE = 8192
_MAX_HEADERS = 100
_HEADERS = rb" HTTP/1\.1\r\n(" + HEADER_LINES + rb")\r\n"
_QUERY = rb"(?:\?[!-~]*)?"
# Headers that say where the request ends, or ask for a response before it has ended.
_FRAMING = frozenset((b"content-length", b"transfer-encoding", b"expect"))


class _HeaderFields:
    """The header fields of a plain handshake: a :class:`phpgw.web.handshake_request.HeaderFields`.

    :ivar values: the values of each header, by its name in lower case.
    """

    __slots__ = ("values",)

    def __init__(self, values: dict[bytes, list[bytes]]) -> None:
        self.values = values

    def getRawHeaders(self, name: bytes, default: Any = None) -> Any:
        return self.values.get(name.lower(), default)

    def hasHeader(self, name: bytes) -> bool:
        return name.lower() in self.values

    def getAllRawHeaders(self) -> Any:  # noqa: N802
        return self.values.items()


class _PlainRequest:
    """The request of a plain handshake: a :class:`phpgw.web.handshake_request.HandshakeRequest`."""

    __slots__ = ("_host", "channel", "requestHeaders", "uri")

    method = b"GET"
    clientproto = b"HTTP/1.1"

    def __init__(self, uri: bytes, headers: _HeaderFields, channel: Any) -> None:
        self.uri = uri
        self.requestHeaders = headers
        self.channel = channel
        self._host: IAddress | None = None

    def getHost(self) -> IAddress:  # noqa: N802
        # It takes a system call.
        if self._host is None:
            self._host = self.channel.getHost()
        return self._host

    def getClientAddress(self) -> IAddress:  # noqa: N802
        peer: IAddress = self.channel.getPeer()
        return peer

    def isSecure(self) -> bool:  # noqa: N802
        return bool(ISSLTransport.providedBy(self.channel.transport))

    def getHeader(self, name: bytes) -> bytes | None:  # noqa: N802
        values = self.requestHeaders.values.get(name.lower())
        return values[-1] if values else None


class FastHandshakes(IFastPath):
    """Opens the WebSocket connections of plain handshakes.

    :param websocket: accepts them; it must not ask PHP.
    :param path: the path of the WebSocket.
    :param probes: handshakes that are not for clients.
    """

    def __init__(self, websocket: WebSocketResource, path: str, probes: PublicProbes) -> None:
        self._websocket = websocket
        self._probes = probes
        target = rb"GET (" + re.escape(path.encode()) + _QUERY + rb")"
        self._plain = re.compile(target + _HEADERS)

    def serve(self, channel: FastPathChannel, data: bytes) -> bool:
        """Open a WebSocket connection; see :class:`phpgw.web.fast_path_site.IFastPath`."""
        if self._probes.are_expected:
            return False
        match = self._plain.fullmatch(data) if len(data) <= _MAX_HEAD_SIZE else None
        if match is None:
            return False
        uri, lines = match.groups()
        headers = _parse_headers(lines)
        return headers is not None and self._websocket.open_directly(
            _PlainRequest(uri, _HeaderFields(headers), channel)
        )


def _parse_headers(lines: bytes) -> dict[bytes, list[bytes]] | None:
    """Return the values of each header; ``None`` if the request is not plain."""
    fields = lines.split(b"\r\n")
    fields.pop()
    if len(fields) > _MAX_HEADERS:
        return None
    headers: dict[bytes, list[bytes]] = {}
    for field in fields:
        name, _, value = field.partition(b":")
        headers.setdefault(name.lower(), []).append(value.strip(b" "))
    hosts = headers.get(b"host", ())
    if len(hosts) != 1 or parse_host(hosts[0]) is None or not _FRAMING.isdisjoint(headers):
        return None
    return headers
