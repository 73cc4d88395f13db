"""Tests for :mod:`phpgw.backend.http.connection`; what a backend makes of it is in test_backend."""

import random
from collections.abc import Sequence
from typing import Any

from twisted.internet.error import ConnectionDone
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web._newclient import HTTP11ClientProtocol, Request
from twisted.web.client import ResponseDone
from twisted.web.http import PotentialDataLoss
from twisted.web.http_headers import Headers

from phpgw.backend.errors import BackendBroken, ReplyTooLarge
from tests.unit.backend.http.test_backend import HttpTestCase, Server

_OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
_STATUSES = (b"200 OK", b"201 Created", b"404 Not Found", b"500 Oh no", b"302 Found")
_HEADERS = (
    b"Content-Type: text/html; charset=UTF-8",
    b"Set-Cookie: a=1; path=/",
    b"Set-Cookie: b=2",
    b"Server: nginx",
    b"X-Empty:",
    b"X-Spaces:  two  ",
    b"Location: http://example.com/\xc3\xa9",
)


class KeptTests(HttpTestCase):
    def reply_to(self, *reads: bytes) -> tuple[Server, Any]:
        asked = self.ask()
        server = self.accept()
        for read in reads:
            server.send(read)
        return server, asked

    def assert_not_kept(self, server: Server) -> None:
        server.request()
        self.ask()
        self.assertEqual(b"", server.request())
        self.accept()

    def test_more_than_a_response(self) -> None:
        """The response counts; what is behind it could be taken for the next one."""
        for more in (b"x", _OK, b"\x00", b"HTTP/1.1 200"):
            self.use()
            server, asked = self.reply_to(_OK + more)
            self.assertEqual(b"ok", self.successResultOf(asked).body)
            self.assert_not_kept(server)

    def test_unasked(self) -> None:
        """A server says that it closes an idle connection."""
        server, asked = self.reply_to(_OK)
        self.successResultOf(asked)
        server.send(b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n")
        self.assertTrue(server.is_aborted)
        server.hang_up()
        self.assert_not_kept(server)

    def test_connection_close(self) -> None:
        for head in (b"HTTP/1.1 200 OK\r\nConnection: close\r\n", b"HTTP/1.0 200 OK\r\n"):
            self.use()
            server, asked = self.reply_to(head + b"Content-Length: 2\r\n\r\nok")
            self.assertEqual(b"ok", self.successResultOf(asked).body)
            self.assertTrue(server.disconnecting)
            self.assert_not_kept(server)

    def test_no_body(self) -> None:
        """By the status, whatever the length is said to be."""
        for status in (b"204 No Content", b"304 Not Modified"):
            self.use()
            _, asked = self.reply_to(b"HTTP/1.1 %b\r\nContent-Length: 3\r\n\r\n" % status)
            self.assertEqual(b"", self.successResultOf(asked).body)
            self.ask()
            self.assert_no_new_connection()

    def test_interim_responses(self) -> None:
        for interim in (b"100 Continue", b"103 Early Hints\r\nLink: </a>"):
            self.use()
            _, asked = self.reply_to(b"HTTP/1.1 %b\r\n\r\n" % interim, _OK)
            reply = self.successResultOf(asked)
            self.assertEqual((200, (), b"ok"), (reply.head.status, reply.head.headers, reply.body))

    def test_upgrade(self) -> None:
        """Nobody asked for another protocol."""
        server, asked = self.reply_to(
            b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\nmore"
        )
        self.failureResultOf(asked, BackendBroken)
        self.assertTrue(server.is_aborted)

    def test_smuggling(self) -> None:
        """A length that is said in two ways is none."""
        for lengths in (
            b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n",
            b"Content-Length: 2\r\nContent-Length: 3\r\n",
            b"Content-Length: -1\r\n",
            b"Content-Length: 2x\r\n",
        ):
            self.use()
            server, asked = self.reply_to(b"HTTP/1.1 200 OK\r\n" + lengths + b"\r\n2\r\nok\r\n")
            self.failureResultOf(asked, BackendBroken)
            self.assertTrue(server.is_aborted)

    def test_cut_off_without_a_length(self) -> None:
        """Only a proper end of the connection is the end of the body."""
        asked = self.ask()
        server = self.accept()
        server.send(b"HTTP/1.1 200 OK\r\n\r\nhalf")
        server.reset()
        self.failureResultOf(asked, BackendBroken)

    def test_trailers_without_end(self) -> None:
        for line in (b"X: y\r\n", b"X-Long: " + b"y" * 8000 + b"\r\n", b"y"):
            self.use(max_reply_size=10)
            server, asked = self.reply_to(
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nA: "
            )
            sent = 0
            while not server.is_aborted:
                server.send(line)
                sent += len(line)
                self.assertLess(sent, 3 * 65536)
            self.failureResultOf(asked, ReplyTooLarge, BackendBroken)


class _Body(Protocol):
    """Gathers a body."""

    def __init__(self) -> None:
        self.body = b""
        self.is_complete = False

    def dataReceived(self, data: bytes) -> None:
        self.body += data

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.is_complete = bool(reason.check(ResponseDone, PotentialDataLoss))


class DifferentialTests(HttpTestCase):
    """A response means the same as to Twisted's own client."""

    def test_random_responses(self) -> None:
        chance = random.Random(7)
        for _ in range(300):
            data = _random_response(chance)
            reads = _random_reads(chance, data)
            self.assertEqual(self._by_twisted(reads), self._by_us(reads), reads)

    def _by_us(self, reads: Sequence[bytes]) -> object:
        self.use(max_reply_size=100_000)
        results: list[Any] = []
        self.ask().addBoth(results.append)
        server = self.accept()
        for read in reads:
            if not results:
                server.send(read)
        if not results:
            server.hang_up()
        [result] = results
        if isinstance(result, Failure):
            return "failed"
        return result.head.status, sorted(result.head.headers), result.body

    def _by_twisted(self, reads: Sequence[bytes]) -> object:
        protocol = HTTP11ClientProtocol(lambda _: None)
        protocol.makeConnection(StringTransport())
        results: list[Any] = []
        body = _Body()
        request = Request(b"POST", b"/", Headers({b"host": [b"x"]}), None)
        asked = protocol.request(request)
        asked.addCallback(lambda response: response.deliverBody(body) or response)
        asked.addBoth(results.append)
        for read in reads:
            if not body.is_complete and not (results and isinstance(results[0], Failure)):
                protocol.dataReceived(read)
        protocol.connectionLost(Failure(ConnectionDone()))
        [response] = results
        if isinstance(response, Failure) or not body.is_complete:
            return "failed"
        headers = [
            (name.lower(), value)
            for name, values in response.headers.getAllRawHeaders()
            for value in values
        ]
        return response.code, sorted(headers), body.body


def _random_response(chance: random.Random) -> bytes:
    headers = chance.choices(_HEADERS, k=chance.randrange(5))
    body = chance.randbytes(chance.choice((0, 1, 5, 300)))
    kind = chance.randrange(3)
    if kind == 0:
        headers.append(b"Content-Length: %d" % len(body))
    elif kind == 1:
        headers.append(b"Transfer-Encoding: chunked")
        size = chance.randrange(1, 100)
        pieces = [body[i : i + size] for i in range(0, len(body), size)]
        body = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
    chance.shuffle(headers)
    if chance.random() < 0.2:
        # It ends too early.
        body = body[: chance.randrange(len(body) + 1)]
    lines = (b"HTTP/1.1 " + chance.choice(_STATUSES), *headers, b"", b"")
    return b"\r\n".join(lines) + body


def _random_reads(chance: random.Random, data: bytes) -> list[bytes]:
    cuts = sorted(chance.choices(range(len(data) + 1), k=chance.randrange(6)))
    return [data[i:j] for i, j in zip([0, *cuts], [*cuts, len(data)], strict=True) if i < j]


class ParserTests(SynchronousTestCase):
    def test_it_is_there(self) -> None:
        """Its leniencies are what an upgrade could take away."""
        from httptools import HttpResponseParser

        parser = HttpResponseParser(object())
        parser.set_dangerous_leniencies(lenient_headers=True, lenient_optional_cr_before_lf=True)
