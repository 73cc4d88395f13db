"""Tests for :mod:`phpgw.cli.web_socket`, with a server in a thread and without a reactor."""

import socket
import struct
from base64 import b64encode
from hashlib import sha1

from twisted.trial.unittest import SynchronousTestCase

from phpgw.cli.api_address import TcpAddress
from phpgw.cli.errors import CommandFailed, GatewayUnreachable
from phpgw.cli.web_socket import WebSocket, WebSocketClosed, open_web_socket
from tests.support.answering_thread import answer_once
from tests.support.real.process import free_port

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_TARGET = "/feed?ticket=x"


def frame(first: int, payload: bytes) -> bytes:
    """A frame of the gateway's."""
    if len(payload) < 126:
        return bytes((first, len(payload))) + payload
    return struct.pack("!BBH", first, 126, len(payload)) + payload


def unmasked(data: bytes) -> bytes:
    """The payload of a short frame of a client."""
    mask = data[2:6]
    return bytes(byte ^ mask[n % 4] for n, byte in enumerate(data[6:]))


class WebSocketTests(SynchronousTestCase):
    def serve(self, frames: bytes = b"", response: bytes | None = None) -> TcpAddress:
        """Answer a handshake, and send frames at once; or refuse it with a response."""
        server = socket.create_server(("127.0.0.1", 0))
        self.head = self.sent = b""

        def answer(connection: socket.socket) -> None:
            while b"\r\n\r\n" not in self.head:
                data = connection.recv(65536)
                if not data:
                    return
                self.head += data
            connection.sendall((response or self.switching()) + frames)
            connection.shutdown(socket.SHUT_WR)
            while data := connection.recv(65536):
                self.sent += data

        self.thread = answer_once(self, server, answer)
        return TcpAddress("127.0.0.1", server.getsockname()[1])

    def switching(self) -> bytes:
        [key] = [
            line.partition(b": ")[2]
            for line in self.head.split(b"\r\n")
            if line.startswith(b"Sec-WebSocket-Key")
        ]
        accept = b64encode(sha1(key + _GUID, usedforsecurity=False).digest())
        return (
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: %b\r\n\r\n" % accept
        )

    def open(self, frames: bytes = b"", response: bytes | None = None) -> WebSocket:
        opened = open_web_socket(self.serve(frames, response), _TARGET)
        self.addCleanup(opened.close)
        return opened

    def end(self, opened: WebSocket) -> bytes:
        """Close, and return what the gateway has got."""
        opened.close()
        self.thread.join(5)
        return self.sent

    def test_messages(self) -> None:
        """They may come together with the response, and be long."""
        long = "é" * 20_000
        opened = self.open(frame(0x81, b"one") + frame(0x81, long.encode()))
        self.assertEqual((opened.receive(), opened.receive()), ("one", long))
        self.assertTrue(self.head.startswith(b"GET /feed?ticket=x HTTP/1.1\r\n"))

    def test_send(self) -> None:
        opened = self.open()
        opened.send("hällo")
        self.assertEqual(unmasked(self.end(opened)).decode(), "hällo")

    def test_ping(self) -> None:
        """It is answered with the same content."""
        opened = self.open(frame(0x89, b"ping") + frame(0x81, b"next"))
        self.assertEqual(opened.receive(), "next")
        sent = self.end(opened)
        self.assertEqual((sent[0], unmasked(sent)), (0x8A, b"ping"))

    def test_closed(self) -> None:
        """The reason is that of the gateway, if it gives one."""
        for frames, expected in (
            (frame(0x88, b"\x03\xe9the gateway stops"), "the gateway stops"),
            (frame(0x88, b""), "it has closed the connection"),
            (b"", "the connection has ended"),
            (b"\x81", "the connection has ended"),
            (frame(0x81, b"x" * 200)[:100], "the connection has ended"),
        ):
            opened = self.open(frames)
            error = self.assertRaises(WebSocketClosed, opened.receive)
            self.assertEqual(str(error), expected)

    def test_nonsense(self) -> None:
        """What no gateway sends ends the connection, and takes no memory."""
        for frames in (b"\x81\x7f" + b"\xff" * 8, b"\x01\x01x", b"HTTP/1.1 200 OK"):
            self.assertRaises(WebSocketClosed, self.open(frames).receive)

    def refusal(self, response: bytes, kind: type[Exception]) -> str:
        address = self.serve(response=response)
        return str(self.assertRaises(kind, open_web_socket, address, _TARGET))

    def test_refused(self) -> None:
        """With the reason that the gateway gives; without room for more, it is worth a new try."""
        body = b'{"error": "no ticket"}'
        for status, kind in ((403, CommandFailed), (503, GatewayUnreachable)):
            response = b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n%b" % (status, len(body), body)
            self.assertEqual(self.refusal(response, kind), "no ticket")

    def test_stranger(self) -> None:
        for response in (
            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
            b"HTTP/1.1 101 OK\r\nUpgrade: WebSocket\r\nSec-WebSocket-Accept: x\r\n\r\n",
        ):
            self.assertIn("does not open a WebSocket", self.refusal(response, CommandFailed))
        self.refusal(b"nonsense\r\n\r\n", GatewayUnreachable)

    def test_nobody_there(self) -> None:
        address = TcpAddress("127.0.0.1", free_port())
        self.assertRaises(GatewayUnreachable, open_web_socket, address, _TARGET)
