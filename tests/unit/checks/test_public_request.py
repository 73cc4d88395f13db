"""Tests for :mod:`phpgw.checks.public_request`."""

import socket
import threading
import time

from twisted.trial.unittest import SynchronousTestCase

from phpgw.checks.public_request import PublicResponse, exchange, handshake, plain_request
from phpgw.checks.public_url import parse_public_url

_URL = parse_public_url("wss://example.com/ws?a=b")


class ExchangeTests(SynchronousTestCase):
    def ask(self, response: bytes, *, closes: bool = True) -> PublicResponse:
        """What becomes of a response."""
        ours, theirs = socket.socketpair()
        with ours, theirs:
            ours.settimeout(0.1)
            theirs.sendall(response)
            if closes:
                theirs.shutdown(socket.SHUT_WR)
            return exchange(ours, plain_request(_URL, "/ws"))

    def test_response(self) -> None:
        found = self.ask(
            b"HTTP/1.1 404 Not Found\r\nServer: nginx\r\nA: 1\r\na: 2\r\n\r\n<h1>Hi</h1>"
        )
        self.assertEqual(
            (404, "nginx", "2"), (found.status, found.headers["server"], found.headers["a"])
        )
        self.assertEqual("status 404 of nginx: Hi", found.describe())

    def test_long_headers(self) -> None:
        """What people see of them is short."""
        line = b"x" * 30_000
        found = self.ask(b"HTTP/1.1 301 X\r\nServer: %b\r\nLocation: %b\r\n\r\n" % (line, line))
        self.assertLess(len(found.describe()), 400)
        self.assertLess(len(found.location()), 400)
        self.assertTrue(found.location())

    def test_switched(self) -> None:
        """The connection stays open then."""
        found = self.ask(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", closes=False)
        self.assertEqual(101, found.status)

    def test_no_response(self) -> None:
        for data, closes, problem in (
            (b"", True, "closed"),
            (b"", False, "timeout"),
            (b"\x00\x00\x12\x04\x00\x00\x00\x00\x00abc", False, "HTTP/2"),
            (b"SSH-2.0-OpenSSH_9.2\r\n", False, "not HTTP"),
            (b"\x15\x03\x01\x00\x02", False, "not HTTP"),
        ):
            found = self.ask(data, closes=closes)
            self.assertEqual((0, problem), (found.status, found.problem))

    def test_incomplete(self) -> None:
        for data in (
            b"HTTP/1.1 200 OK\r\nServer",
            b"HTTP/1.1 200 OK\r\n\r\n",
            b"HTTP/1.1 200\r\n\r\n",
        ):
            self.assertEqual(200, self.ask(data, closes=False).status)

    def test_slow(self) -> None:
        """The timeout is for the whole response, and not for each byte."""
        ours, theirs = socket.socketpair()
        with ours, theirs:
            ours.settimeout(0.1)
            stopped = threading.Event()

            def drip() -> None:
                # The beginning of a response, without an end.
                theirs.sendall(b"HTTP/1.1 200 OK\r\nA: ")
                while not stopped.wait(0.02):
                    theirs.sendall(b"x")

            dripping = threading.Thread(target=drip)
            dripping.start()
            began_at = time.monotonic()
            exchange(ours, plain_request(_URL, "/ws"))
            stopped.set()
            dripping.join()
        self.assertLess(time.monotonic() - began_at, 5)

    def test_without_end(self) -> None:
        """What is read is bounded."""
        found = self.ask(b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 20_000)
        self.assertEqual(200, found.status)
        self.assertEqual(4096, len(self.ask(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 50_000).body))


class HandshakeTests(SynchronousTestCase):
    def test_places_of_the_token(self) -> None:
        lines = handshake(_URL, "t0k", "https://page.example").decode().split("\r\n")
        self.assertEqual("GET /ws?a=b&phpgw-check=t0k HTTP/1.1", lines[0])
        for line in (
            *("Host: example.com", "Origin: https://page.example", "Phpgw-Check: t0k"),
            *("Sec-WebSocket-Protocol: phpgw-check.t0k", "X-Forwarded-For: 192.0.2.1"),
        ):
            self.assertIn(line, lines)
