"""A WebSocket client (RFC 6455) for commands. It waits for messages; no reactor is needed."""

import json
import socket
import struct
from base64 import b64encode
from hashlib import sha1
from http.client import HTTPException, HTTPResponse
from secrets import token_bytes

from phpgw.cli.api_address import ApiAddress
from phpgw.cli.api_exchange import explain_unreachable, make_connection
from phpgw.cli.errors import CommandFailed, GatewayUnreachable

# RFC 6455, section 1.3.
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_TEXT, _CLOSE, _PING, _PONG = 0x81, 0x88, 0x89, 0x8A
# In seconds, for the handshake; a message may come at any time.
_TIMEOUT = 10.0
# The feed's messages have some kilobytes.
_MAX_MESSAGE = 16 * 1024**2
_MAX_REFUSAL = 65536
_UNAVAILABLE = 503


class WebSocketClosed(Exception):
    """The connection has ended. The text says how, for people."""


class WebSocket:
    """An open WebSocket connection.

    :param response: the response to the handshake, which has read what follows in part.
    """

    def __init__(self, connected: socket.socket, response: HTTPResponse) -> None:
        self._socket = connected
        # It closes its file when it is freed.
        self._response = response

    def send(self, text: str) -> None:
        """Send a text message.

        :raises WebSocketClosed: if the connection has ended.
        """
        self._send(_TEXT, text.encode())

    def receive(self) -> str:
        """Return the next message.

        :raises WebSocketClosed: if there is none, since the connection has ended.
        """
        while True:
            first, second = self._read(2)
            length = second
            if length == 126:
                [length] = struct.unpack("!H", self._read(2))
            elif length == 127:
                [length] = struct.unpack("!Q", self._read(8))
            if length > _MAX_MESSAGE or first not in (_TEXT, _CLOSE, _PING, _PONG):
                raise self._broken()
            payload = self._read(length)
            if first == _TEXT:
                return payload.decode(errors="replace")
            if first == _PING:
                self._send(_PONG, payload)
            elif first == _CLOSE:
                reason = payload[2:].decode(errors="replace")
                raise WebSocketClosed(reason or "it has closed the connection")

    def close(self) -> None:
        """End the connection."""
        self._response.close()
        self._socket.close()

    def _read(self, length: int) -> bytes:
        try:
            data = self._response.fp.read(length)
        except OSError as error:
            raise WebSocketClosed(error.strerror or str(error)) from None
        if len(data) < length:
            raise WebSocketClosed("the connection has ended")
        return data

    def _send(self, first: int, payload: bytes) -> None:
        """Send a frame, masked as those of all clients are (section 5.3)."""
        mask = token_bytes(4)
        length = len(payload)
        if length < 126:
            head = struct.pack("!BB", first, 0x80 | length)
        else:
            head = struct.pack("!BBH", first, 0x80 | 126, length)
        masked = bytes(byte ^ mask[n % 4] for n, byte in enumerate(payload))
        try:
            self._socket.sendall(head + mask + masked)
        except OSError as error:
            raise WebSocketClosed(error.strerror or str(error)) from None

    def _broken(self) -> WebSocketClosed:
        return WebSocketClosed("what came is no message of the gateway")


def open_web_socket(address: ApiAddress, target: str) -> WebSocket:
    """Open a WebSocket connection to the gateway.

    :param target: path and query, percent-encoded.
    :raises CommandFailed: if the gateway refuses.
    :raises GatewayUnreachable: if there is no gateway, or if it has no room for more.
    """
    connection = make_connection(address)
    key = b64encode(token_bytes(16))
    headers = {
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": key.decode(),
    }
    try:
        connection.connect()
        connected = connection.sock
        connected.settimeout(_TIMEOUT)
        connection.request("GET", target, headers=headers)
        response = connection.getresponse()
        body = b"" if response.status == 101 else response.read(_MAX_REFUSAL)
    except (OSError, HTTPException) as error:
        connection.close()
        raise explain_unreachable(address, error) from error
    if response.status != 101 or response.headers["Sec-WebSocket-Accept"] != _accept(key):
        connection.close()
        raise _refusal(response.status, body)
    connected.settimeout(None)
    # So that the end of a gateway's machine is noticed at last.
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    return WebSocket(connected, response)


def _accept(key: bytes) -> str:
    """Return what the gateway answers to a key: section 4.2.2."""
    return b64encode(sha1(key + _GUID, usedforsecurity=False).digest()).decode()


def _refusal(status: int, body: bytes) -> CommandFailed | GatewayUnreachable:
    try:
        reason = str(json.loads(body)["error"])
    except (ValueError, KeyError, TypeError, RecursionError):
        reason = f"what is there does not open a WebSocket (status {status})"
    return GatewayUnreachable(reason) if status == _UNAVAILABLE else CommandFailed(reason)
