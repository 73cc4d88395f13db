"""A client that writes its own bytes, so that it can break every rule. It blocks."""

import socket
import time
from contextlib import suppress
from email.message import Message as Headers
from http.client import HTTPResponse
from typing import Any, Self

import attrs

# Longer than anything takes on a busy machine.
_PATIENCE = 20.0


@attrs.frozen
class Response:
    """An HTTP response."""

    status: int
    headers: Headers
    body: bytes


class RawClient:
    """A connection to a port of 127.0.0.1.

    :param source: the address to come from, such as 127.0.0.2.
    """

    def __init__(self, port: int, *, source: str = "127.0.0.1") -> None:
        self.socket: Any = socket.create_connection(("127.0.0.1", port), _PATIENCE, (source, 0))
        self._started_at = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, data: bytes) -> Self:
        """Send these bytes, unless nobody takes them any more."""
        with suppress(ConnectionError):
            self.socket.sendall(data)
        return self

    def response(self, method: str = "GET") -> Response:
        """The next response.

        :raises AssertionError: if the connection has ended without one.
        """
        response = HTTPResponse(self.socket, method=method)
        try:
            response.begin()
            return Response(response.status, response.headers, response.read())
        except ConnectionError as error:
            raise AssertionError(f"no response: {error}") from None

    def status(self, data: bytes) -> int:
        """The status of the response to this."""
        return self.send(data).response().status

    def upgrade(self, request: bytes) -> Self:
        """Shake hands."""
        response = self.send(request).read_until(b"\r\n\r\n")
        assert b" 101 " in response.partition(b"\r\n")[0], response
        return self

    def frame(self) -> tuple[int, bytes]:
        """The next frame: its first byte and its payload."""
        first, length = self._read(2)
        if length >= 126:
            length = int.from_bytes(self._read(2 if length == 126 else 8), "big")
        return first, self._read(length)

    def close_code(self) -> int | None:
        """The code of the next close frame, if it has one; whatever comes before is passed over."""
        while True:
            first, payload = self.frame()
            if first & 0x0F == 8:
                return int.from_bytes(payload[:2], "big") if payload else None

    def read_until(self, end: bytes) -> bytes:
        """Return the bytes that come, up to these."""
        data = b""
        while not data.endswith(end):
            data += self._read(1)
        return data

    def rest(self) -> bytes:
        """All that comes until the other side ends the connection."""
        data = b""
        with suppress(ConnectionError):
            while part := self.socket.recv(65536):
                data += part
        return data

    def seconds(self) -> float:
        """Return the seconds since it has connected."""
        return time.monotonic() - self._started_at

    def _read(self, length: int) -> bytes:
        data = b""
        while len(data) < length:
            part = self.socket.recv(length - len(data))
            assert part, f"the connection has ended after {data!r}"
            data += part
        return data
