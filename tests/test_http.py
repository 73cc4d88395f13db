"""Tests for :mod:`phpgw.backend.http`: a web server on the other side, in memory."""

from collections.abc import Callable
from typing import Any

from twisted.internet import error
from twisted.internet.defer import Deferred
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from phpgw.backend import (
    BackendBroken,
    BackendTimeout,
    BackendUnreachable,
    Event,
    Handshake,
    Reply,
    ReplyTooLarge,
)
from phpgw.backend.http import make_http_backend
from phpgw.metrics import Metrics
from tests.fakes import handshake

_OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Server:
    """One connection as the web server has it."""

    def __init__(self, protocol: Any) -> None:
        self._protocol = protocol
        self._transport = StringTransport()
        protocol.makeConnection(self._transport)

    @property
    def disconnecting(self) -> bool:
        return self._transport.disconnecting or self._transport.disconnected

    def request(self) -> bytes:
        """What was written since the last call."""
        written = self._transport.value()
        self._transport.clear()
        return written

    def send(self, data: bytes) -> None:
        self._protocol.dataReceived(data)

    def hang_up(self) -> None:
        self._protocol.connectionLost(Failure(error.ConnectionDone()))


class HttpBackendTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor = MemoryReactorClock()
        self.metrics = Metrics()
        self.backend = make_http_backend(
            self.reactor,
            url="http://127.0.0.1:8088/websocket.php?a=b",
            timeout=10,
            concurrency=4,
            max_reply_size=1000,
            metrics=self.metrics,
        )
        self._accepted = 0

    def ask(self, message: bytes = b"hi", shaken: Handshake | None = None) -> Deferred[Reply]:
        return self.backend.ask(
            Event("server", message, False, "192.0.2.1:5000", shaken or handshake())
        )

    def accept(self) -> Server:
        """The next connection that the backend opens."""
        _, _, factory, _, _ = self.reactor.tcpClients[self._accepted]
        self._accepted += 1
        return Server(factory.buildProtocol(None))

    def assert_no_new_connection(self) -> None:
        self.assertEqual(len(self.reactor.tcpClients), self._accepted)

    def test_request(self) -> None:
        self.ask(b"a&b=c+d%\x00\xff\xf0\x9f\x98\x80")
        head, _, body = self.accept().request().partition(b"\r\n\r\n")
        lines = head.split(b"\r\n")
        self.assertEqual(lines[0], b"POST /websocket.php?a=b HTTP/1.1")
        self.assertIn(b"Host: 127.0.0.1:8088", lines)
        self.assertIn(b"Content-Type: application/x-www-form-urlencoded", lines)
        self.assertEqual(
            body,
            b"type=server&message=a%26b%3dc%2bd%25%00%ff%f0%9f%98%80&client_id=192.0.2.1%3a5000",
        )

    def test_ipv6(self) -> None:
        self.backend = make_http_backend(
            self.reactor,
            url="http://[::1]:8088/ws.php",
            timeout=10,
            concurrency=4,
            max_reply_size=1000,
            metrics=self.metrics,
        )
        self.ask()
        self.assertIn(b"Host: [::1]:8088\r\n", self.accept().request())

    def test_browser_is_passed_on(self) -> None:
        headers = ((b"User-Agent", b"Firefox"), (b"Cookie", b"a=1; b=2"))
        self.ask(shaken=handshake(headers=headers, peer_host="192.0.2.9", host=b"example.com"))
        lines = self.accept().request().split(b"\r\n")
        for line in (
            b"User-Agent: Firefox",
            b"Cookie: a=1; b=2",
            b"X-Forwarded-For: 192.0.2.9",
            b"X-Forwarded-Proto: http",
            b"X-Forwarded-Host: example.com",
        ):
            self.assertIn(line, lines)

    def test_reply(self) -> None:
        answer = self.ask()
        self.accept().send(b"HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nnope")
        self.assertEqual(self.successResultOf(answer), Reply(404, b"nope"))

    def test_redirect_is_an_answer(self) -> None:
        answer = self.ask()
        self.accept().send(
            b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1/login\r\nContent-Length: 0\r\n\r\n"
        )
        self.assertEqual(self.successResultOf(answer).status, 302)
        self.assert_no_new_connection()

    def test_body_until_the_connection_ends(self) -> None:
        """As PHP's built-in server sends it."""
        answer = self.ask()
        server = self.accept()
        server.send(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhel")
        server.send(b"lo")
        server.hang_up()
        self.assertEqual(self.successResultOf(answer), Reply(200, b"hello"))

    def test_connection_is_used_again(self) -> None:
        first = self.ask()
        server = self.accept()
        server.send(_OK)
        self.successResultOf(first)
        server.request()
        second = self.ask(b"again")
        self.assert_no_new_connection()
        self.assertIn(b"message=again", server.request())
        server.send(_OK)
        self.successResultOf(second)

    def test_cookies_of_one_browser_are_not_sent_for_another(self) -> None:
        first = self.ask()
        server = self.accept()
        server.send(
            b"HTTP/1.1 200 OK\r\nSet-Cookie: PHPSESSID=secret; Path=/\r\nContent-Length: 0\r\n\r\n"
        )
        self.successResultOf(first)
        server.request()
        self.ask()
        self.assertNotIn(b"PHPSESSID", server.request())

    def test_stale_connection_is_tried_once_more(self) -> None:
        """Nginx closes an idle connection just as a message is on its way."""
        first = self.ask()
        server = self.accept()
        server.send(_OK)
        self.successResultOf(first)
        second = self.ask(b"again")
        server.hang_up()
        fresh = self.accept()
        self.assertIn(b"message=again", fresh.request())
        fresh.send(_OK)
        self.assertEqual(self.successResultOf(second), Reply(200, b"ok"))
        self.assertEqual(self.metrics.php_retries, 1)

    def test_only_once(self) -> None:
        first = self.ask()
        server = self.accept()
        server.send(_OK)
        self.successResultOf(first)
        second = self.ask()
        server.hang_up()
        self.accept().hang_up()
        self.failureResultOf(second, BackendBroken)
        self.assert_no_new_connection()

    def test_new_connection_is_not_tried_again(self) -> None:
        """Nobody can tell whether PHP had begun."""
        answer = self.ask()
        self.accept().hang_up()
        self.failureResultOf(answer, BackendBroken)
        self.assert_no_new_connection()

    def test_begun_answer_is_not_tried_again(self) -> None:
        first = self.ask()
        server = self.accept()
        server.send(_OK)
        self.successResultOf(first)
        second = self.ask()
        server.send(b"H")
        server.hang_up()
        self.failureResultOf(second, BackendBroken)
        self.assert_no_new_connection()

    def test_cut_off_body(self) -> None:
        answer = self.ask()
        server = self.accept()
        server.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
        server.hang_up()
        self.failureResultOf(answer, BackendBroken)

    def test_refused(self) -> None:
        answer = self.ask()
        _, _, factory, _, _ = self.reactor.tcpClients[0]
        factory.clientConnectionFailed(
            self.reactor.connectors[0], Failure(error.ConnectionRefusedError())
        )
        self.reactor.advance(1)
        problem = self.failureResultOf(answer, BackendUnreachable).value
        self.assertIn("http://127.0.0.1:8088/websocket.php", str(problem))

    def assert_timeout(self, before: Callable[[Server], object]) -> None:
        answer = self.ask()
        server = self.accept()
        before(server)
        self.reactor.advance(9.9)
        self.assertNoResult(answer)
        self.reactor.advance(0.1)
        problem = self.failureResultOf(answer, BackendTimeout).value
        self.assertEqual(str(problem), "no complete answer within 10 s")
        self.assertTrue(server.disconnecting)

    def test_timeout_without_answer(self) -> None:
        self.assert_timeout(lambda server: None)

    def test_timeout_in_the_middle_of_an_answer(self) -> None:
        self.assert_timeout(
            lambda server: server.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
        )

    def test_timeout_while_connecting(self) -> None:
        answer = self.ask()
        self.reactor.advance(10)
        self.failureResultOf(answer, BackendTimeout)

    def test_announced_reply_too_large(self) -> None:
        answer = self.ask()
        server = self.accept()
        server.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n")
        self.failureResultOf(answer, ReplyTooLarge)
        self.assertTrue(server.disconnecting)

    def test_reply_that_grows_too_large(self) -> None:
        answer = self.ask()
        server = self.accept()
        server.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(2):
            server.send(b"200\r\n" + b"x" * 512 + b"\r\n")
        problem = self.failureResultOf(answer, ReplyTooLarge).value
        self.assertIn("1000 bytes", str(problem))
        self.assertTrue(server.disconnecting)

    def test_idle_connection_is_given_back(self) -> None:
        answer = self.ask()
        server = self.accept()
        server.send(_OK)
        self.successResultOf(answer)
        self.reactor.advance(60)
        self.assertTrue(server.disconnecting)

    def test_close(self) -> None:
        answer = self.ask()
        server = self.accept()
        server.send(_OK)
        self.successResultOf(answer)
        closed = self.backend.close()
        self.assertTrue(server.disconnecting)
        server.hang_up()
        self.successResultOf(closed)
