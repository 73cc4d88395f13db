"""Tests for :mod:`phpgw.backend.http.backend`: a web server on the other side, in memory."""

import gzip
import hmac
import tracemalloc
from typing import Any

from twisted.internet import error
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from phpgw.backend.errors import (
    BackendBroken,
    BackendTimeout,
    BackendUnreachable,
    ReplyTooLarge,
    ScriptNotFound,
)
from phpgw.backend.event import Event
from phpgw.backend.http.backend import make_http_backend
from phpgw.backend.reply import Follow, Head, Reply
from phpgw.backend.signature import Signer
from phpgw.metrics import Metrics
from tests.support.fakes import handshake, identity
from tests.unit.transport.test_host_endpoint import Resolver

_OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class TcpTransport(StringTransport):
    def setTcpNoDelay(self, enabled: bool) -> None:  # noqa: N802
        """Nothing is delayed."""


class Server:
    """One connection as the web server has it."""

    def __init__(self, protocol: Any) -> None:
        self._protocol = protocol
        self.transport = TcpTransport()
        protocol.makeConnection(self.transport)

    @property
    def disconnecting(self) -> bool:
        return self.transport.disconnecting or self.transport.disconnected

    @property
    def is_aborted(self) -> bool:
        return self.transport.disconnected

    def request(self) -> bytes:
        """What was written since the last call."""
        written = self.transport.value()
        self.transport.clear()
        return written

    def send(self, data: bytes) -> None:
        self._protocol.dataReceived(data)

    def hang_up(self) -> None:
        self._protocol.connectionLost(Failure(error.ConnectionDone()))

    def reset(self) -> None:
        self._protocol.connectionLost(Failure(error.ConnectionLost()))


class HttpTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.use()

    def use(self, **changes: Any) -> None:
        """Use a backend that has not been asked anything, except for these changes the usual."""
        self.reactor = MemoryReactorClock()
        self.metrics = Metrics()
        usual: dict[str, Any] = {
            "url": "http://127.0.0.1:8088/websocket.php?a=b",
            "timeout": 10,
            "concurrency": 4,
            "max_reply_size": 1000,
            "signer": None,
            "metrics": self.metrics,
        }
        self.backend = make_http_backend(self.reactor, **{**usual, **changes})
        self._accepted = 0

    def ask(
        self, message: bytes = b"hi", follow: Follow | None = None, **shaken: Any
    ) -> Deferred[Reply]:
        who = identity("192.0.2.1:5000", handshake=handshake(**shaken))
        return self.backend.ask(Event("server", message, who), follow)

    def accept(self) -> Server:
        """The next connection that the backend opens."""
        _, _, factory, _, _ = self.reactor.tcpClients[self._accepted]
        self._accepted += 1
        return Server(factory.buildProtocol(None))

    def assert_no_new_connection(self) -> None:
        self.assertEqual(len(self.reactor.tcpClients), self._accepted)


class HttpBackendTests(HttpTestCase):
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
        self.use(url="http://[::1]:8088/ws.php")
        self.ask()
        self.assertIn(b"Host: [::1]:8088\r\n", self.accept().request())

    def test_any_name(self) -> None:
        """Whatever the system's resolver knows, by IPv6 alone, too."""
        for name in ("my_php", "_", "php-.x", "a_b.example_net."):
            self.use(url=f"http://{name}:8088/ws.php")
            resolver: Any = Resolver()
            resolver.addresses = ["fd00::1"]
            self.reactor.nameResolver = resolver
            answer = self.ask()
            resolver.answer()
            self.assertEqual(("fd00::1", 8088), self.reactor.tcpClients[0][:2])
            server = self.accept()
            self.assertIn(f"Host: {name}:8088\r\n".encode(), server.request())
            server.send(_OK)
            self.successResultOf(answer)

    def test_name_that_nobody_knows(self) -> None:
        self.use(url="http://my_php/")
        resolver: Any = Resolver()
        self.reactor.nameResolver = resolver
        answer = self.ask()
        resolver.answer()
        problem = self.failureResultOf(answer, BackendUnreachable).value
        self.assertIn("no address is known for my_php", str(problem))

    def test_query_of_the_browser(self) -> None:
        """It stands behind the script's own, and cannot become anything else."""
        self.ask(query=b"room=a%26b&x[]=\xc3\xa9\x0b\x00#\xff")
        line, _, _ = self.accept().request().partition(b"\r\n")
        self.assertEqual(
            line, b"POST /websocket.php?a=b&room=a%26b&x%5B%5D=%C3%A9%0B%00%23%FF HTTP/1.1"
        )
        self.use(url="http://127.0.0.1:8088/")
        self.ask(query=b"q")
        self.assertTrue(self.accept().request().startswith(b"POST /?q HTTP/1.1\r\n"))

    def test_browser_is_passed_on(self) -> None:
        headers = ((b"User-Agent", b"Firefox"), (b"Cookie", b"a=1; b=2"))
        self.ask(headers=headers, peer_host="192.0.2.9", host=b"example.com")
        lines = self.accept().request().split(b"\r\n")
        for line in (
            b"User-Agent: Firefox",
            b"Cookie: a=1; b=2",
            b"X-Forwarded-For: 192.0.2.9",
            b"X-Forwarded-Proto: http",
            b"X-Forwarded-Host: example.com",
        ):
            self.assertIn(line, lines)

    def event(self, event: Event) -> tuple[list[bytes], bytes]:
        """What this one looks like: the lines of its headers, and its body."""
        self.use()
        self.backend.ask(event)
        head, _, body = self.accept().request().partition(b"\r\n\r\n")
        return head.split(b"\r\n")[1:], body

    def ours(self, event: Event) -> list[bytes]:
        lines, _ = self.event(event)
        return sorted(line for line in lines if line.lower().startswith(b"phpgw-"))

    def test_who_and_what(self) -> None:
        who = identity("[::1]:5000", user="Zoë", state=" 50%\n")
        self.assertEqual(
            self.ours(Event("server", b"hi", who, True, id="12ab-1")),
            [
                b"Phpgw-Client-Id: [::1]:5000",
                b"Phpgw-Event-Id: 12ab-1",
                b"Phpgw-Event: server",
                b"Phpgw-Message-Type: binary",
                b"Phpgw-State: %2050%25%0a",
                b"Phpgw-User: Zo%c3%ab",
            ],
        )
        self.assertEqual(
            self.ours(Event("disconnect", b"", identity(), code=1001, id="12ab-2")),
            [
                b"Phpgw-Client-Id: 127.0.0.1:51110",
                b"Phpgw-Event-Id: 12ab-2",
                b"Phpgw-Event: disconnect",
                b"Phpgw-Message-Type: text",
            ],
        )

    def test_without_a_client(self) -> None:
        nobody = handshake(peer_host="", peer_port=0, host=b"")
        lines, body = self.event(Event("timer", b"cleanup", identity("", handshake=nobody)))
        self.assertIn(b"Phpgw-Event: timer", lines)
        self.assertIn(b"Phpgw-Client-Id: ", lines)
        self.assertEqual(b"type=timer&message=cleanup&client_id=", body)
        self.assertEqual([], [line for line in lines if line.startswith(b"X-Forwarded-Host")])

    def test_who_it_is_now(self) -> None:
        """PHP binds, and a cookie changes, while the connection goes on."""
        shaken = handshake(headers=((b"Cookie", b"a=1"),))
        changed = handshake(headers=((b"Cookie", b"a=2"),))
        seen = []
        for who in (
            identity(handshake=shaken),
            identity(handshake=shaken, user="42"),
            identity(handshake=changed, user="42"),
        ):
            self.backend.ask(Event("server", b"hi", who))
            lines = self.accept().request().split(b"\r\n")
            wanted = (b"Cookie", b"Phpgw-User")
            seen.append([line for line in lines if line.partition(b":")[0] in wanted])
        self.assertEqual(
            seen,
            [
                [b"Cookie: a=1"],
                [b"Cookie: a=1", b"Phpgw-User: 42"],
                [b"Cookie: a=2", b"Phpgw-User: 42"],
            ],
        )

    def test_browser_that_says_who_it_is(self) -> None:
        headers = ((b"Phpgw-User", b"root"), (b"phpgw_state", b"x"), (b"PHPGW-CLIENT-ID", b"you"))
        who = identity("192.0.2.1:5000", handshake=handshake(headers=headers))
        lines, _ = self.event(Event("server", b"hi", who))
        self.assertEqual(
            [line for line in lines if b"root" in line or b"you" in line or b"state" in line], []
        )
        self.assertIn(b"Phpgw-Client-Id: 192.0.2.1:5000", lines)

    def test_signature(self) -> None:
        self.use(signer=Signer(b"secret", lambda: 1700000000.9))
        self.ask(b"a&b")
        head, _, body = self.accept().request().partition(b"\r\n\r\n")
        signed = hmac.new(b"secret", b"1700000000." + body, "sha256").hexdigest()
        lines = head.split(b"\r\n")
        self.assertIn(b"Phpgw-Timestamp: 1700000000", lines)
        self.assertIn(b"Phpgw-Signature: sha256=" + signed.encode(), lines)

    def test_reply(self) -> None:
        answer = self.ask()
        self.accept().send(
            b"HTTP/1.1 404 Not Found\r\nContent-Type: text/plain\r\nContent-Length: 4\r\n"
            b"SET-COOKIE: a=1\r\nSet-Cookie: b=2; path=/\r\n\r\nnope"
        )
        headers = (
            (b"content-type", b"text/plain"),
            (b"set-cookie", b"a=1"),
            (b"set-cookie", b"b=2; path=/"),
        )
        self.assertEqual(self.successResultOf(answer), Reply(Head(404, headers), b"nope"))

    def test_redirect_is_an_answer(self) -> None:
        answer = self.ask()
        self.accept().send(
            b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1/login\r\nContent-Length: 0\r\n\r\n"
        )
        self.assertEqual(self.successResultOf(answer).head.status, 302)
        self.assert_no_new_connection()

    def test_body_until_the_connection_ends(self) -> None:
        """As PHP's built-in server sends it."""
        answer = self.ask()
        server = self.accept()
        server.send(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhel")
        server.send(b"lo")
        server.hang_up()
        self.assertEqual(self.successResultOf(answer), Reply(Head(200), b"hello"))

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
        self.assertEqual(self.successResultOf(second), Reply(Head(200), b"ok"))
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

    def test_cancelled(self) -> None:
        """While connecting, and while PHP works."""
        connecting = self.ask()
        connecting.cancel()
        self.failureResultOf(connecting, CancelledError)
        self.use()
        asked = self.ask()
        server = self.accept()
        asked.cancel()
        self.failureResultOf(asked, CancelledError)
        self.assertTrue(server.is_aborted)
        server.hang_up()
        self.assert_no_new_connection()

    def test_cancelled_on_a_kept_connection(self) -> None:
        """That its end comes before an answer is no reason to ask again."""
        first = self.ask()
        server = self.accept()
        server.send(_OK)
        self.successResultOf(first)
        second = self.ask()
        second.cancel()
        self.failureResultOf(second, CancelledError)
        server.hang_up()
        self.assert_no_new_connection()

    def test_refused(self) -> None:
        answer = self.ask()
        _, _, factory, _, _ = self.reactor.tcpClients[0]
        factory.clientConnectionFailed(
            self.reactor.connectors[0], Failure(error.ConnectionRefusedError())
        )
        self.reactor.advance(1)
        problem = self.failureResultOf(answer, BackendUnreachable).value
        self.assertIn("http://127.0.0.1:8088/websocket.php", str(problem))

    def time_out(self, before: bytes = b"") -> tuple[Server, BackendTimeout]:
        """Have an event that is not answered in time, or not to its end."""
        answer = self.ask()
        server = self.accept()
        if before:
            server.send(before)
        self.reactor.advance(9.9)
        self.assertNoResult(answer)
        self.reactor.advance(0.1)
        problem: BackendTimeout = self.failureResultOf(answer, BackendTimeout).value
        self.assertEqual(str(problem), "no complete answer within 10 s (--php-timeout)")
        return server, problem

    def test_timeout_without_answer(self) -> None:
        """The connection tells when the script has ended: it is answered, or breaks off."""
        for end in (
            lambda server: server.send(_OK),
            lambda server: server.send(b"HTTP/1.1 504 x\r\nContent-Length: 5\r\n\r\n"),
            lambda server: server.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\nhalf"),
            Server.hang_up,
        ):
            server, problem = self.time_out()
            self.assertFalse(server.disconnecting)
            assert problem.ended is not None
            self.reactor.advance(100)
            self.assertNoResult(problem.ended)
            end(server)
            self.assertIsNone(self.successResultOf(problem.ended))
            self.setUp()

    def test_end_that_nobody_waits_for(self) -> None:
        server, problem = self.time_out()
        assert problem.ended is not None
        problem.ended.cancel()
        self.assertTrue(server.disconnecting)
        self.assertIsNone(self.successResultOf(problem.ended))

    def test_closed_before_the_end(self) -> None:
        server, problem = self.time_out()
        assert problem.ended is not None
        self.backend.close()
        self.assertTrue(server.disconnecting)
        self.assertIsNone(self.successResultOf(problem.ended))

    def test_timeout_in_the_middle_of_an_answer(self) -> None:
        """A script that prints notices that nobody listens."""
        server, problem = self.time_out(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
        self.assertTrue(server.disconnecting)
        self.assertIsNone(problem.ended)

    def test_timeout_while_connecting(self) -> None:
        """Nothing was sent: it is no time-out of PHP's, and a disconnect can be told later."""
        answer = self.ask()
        self.reactor.advance(10)
        problem = str(self.failureResultOf(answer, BackendUnreachable).value)
        self.assertIn("no connection to http://127.0.0.1:8088/websocket.php", problem)
        self.assertIn("nothing answers there within 10 s", problem)

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

    def test_reply_in_small_pieces(self) -> None:
        """It takes as much memory as it has bytes, however a script flushes them."""
        self.use(max_reply_size=100_000)
        asked = self.ask()
        server = self.accept()
        server.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        count = 20000
        tracemalloc.start()
        self.addCleanup(tracemalloc.stop)
        for _ in range(count // 100):
            server.send(b"2\r\nok\r\n" * 100)
        self.assertLess(tracemalloc.get_traced_memory()[0], 4 * 2 * count)
        server.send(b"0\r\n\r\n")
        self.assertEqual(b"ok" * count, self.successResultOf(asked).body)

    def assert_head_is_limited(self, start: bytes, *pieces: bytes) -> None:
        """The answer is given up after less than three times 64 KB, wherever it has got to."""
        self.use()
        answer = self.ask()
        server = self.accept()
        server.send(start)
        sent = 0
        while not server.is_aborted:
            for piece in pieces:
                server.send(piece)
                sent += len(piece)
            self.assertLess(sent, 3 * 65536, pieces[0][:20])
        server.hang_up()
        self.assertIn("64 KB", str(self.failureResultOf(answer, ReplyTooLarge).value))

    def test_head_without_end(self) -> None:
        status = b"HTTP/1.1 200 OK\r\n"
        for pieces in (
            (b"X: y\r\n",),
            (b"X-%d: %b\r\n" % (1, b"y" * 8000),),
            (b"a:\n" * 20000,),
            (b"x",),
            (b"X: " + b"y" * 60000,),
            (b"X: y\r\n", b" folded\r\n"),
        ):
            self.assert_head_is_limited(status, *pieces)

    def test_answers_before_the_answer_without_end(self) -> None:
        for code in (100, 102, 103, 199):
            self.assert_head_is_limited(b"", b"HTTP/1.1 %d Wait\r\n" % code, b"X: y\r\n\r\n")

    def test_status_line_without_end(self) -> None:
        self.assert_head_is_limited(b"HTTP/1.1 200 ", b"O" * 1000)

    def test_large_head(self) -> None:
        """It may come with any amount of body, and again and again on one connection."""
        self.use(max_reply_size=1_000_000)
        head = b"HTTP/1.1 200 OK\r\n" + b"X-Debug: %b\r\n" % (b"y" * 16000) * 4
        answer = self.ask()
        server = self.accept()
        for _ in range(3):
            server.send(head)
            server.send(b"Content-Length: 200000\r\n\r\n" + b"z" * 1000)
            server.send(b"z" * 199_000)
            self.assertEqual(200_000, len(self.successResultOf(answer).body))
            answer = self.ask()
            self.assert_no_new_connection()

    def test_compressed(self) -> None:
        """Nobody asked for it, and what it inflates to could be anything."""
        bomb = gzip.compress(bytes(10_000_000))
        for header in (b"gzip", b"GZIP", b"x-gzip", b"br", b"deflate", b"identity, gzip"):
            self.use()
            answer = self.ask()
            server = self.accept()
            self.assertNotIn(b"accept-encoding", server.request().lower())
            server.send(
                b"HTTP/1.1 200 OK\r\nContent-Encoding: %b\r\nContent-Length: %d\r\n\r\n"
                % (header, len(bomb))
            )
            problem = self.failureResultOf(answer, BackendBroken).value
            self.assertIn("is compressed (Content-Encoding: ", str(problem))
            self.assertTrue(server.is_aborted)

    def test_not_compressed(self) -> None:
        for header in (b"identity", b"", b"Identity "):
            self.use()
            answer = self.ask()
            self.accept().send(
                b"HTTP/1.1 200 OK\r\nContent-Encoding: %b\r\nContent-Length: 2\r\n\r\nok" % header
            )
            self.assertEqual(b"ok", self.successResultOf(answer).body)

    def test_not_http(self) -> None:
        for said in (b"SSH-2.0-OpenSSH\r\n", b"\x15\x03\x01\n", b"HTTP/1.1 abc\r\n"):
            self.use()
            answer = self.ask()
            self.accept().send(said)
            problem = self.failureResultOf(answer, BackendBroken).value
            self.assertIn("is not proper HTTP", str(problem))

    def test_tls_that_was_not_agreed_on(self) -> None:
        """Nothing of the request was sent, so it may be sent again."""
        for said in (b"HTTP/1.1 400 Bad Request\r\n\r\n", b""):
            self.use(url="https://127.0.0.1/")
            answer = self.ask()
            server = self.accept()
            if said:
                server.send(said)
            server.hang_up()
            problem = self.failureResultOf(answer, BackendUnreachable).value
            self.assertIn("no TLS connection to https://127.0.0.1/: ", str(problem))

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
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def probe(self, status: bytes, *headers: bytes) -> Deferred[None]:
        self.use()
        probed = self.backend.probe()
        server = self.accept()
        request = server.request()
        self.assertTrue(request.startswith(b"OPTIONS /websocket.php?a=b HTTP/1.1\r\n"), request)
        self.assertTrue(request.endswith(b"\r\n\r\n"), request)
        for line in (b"Host: 127.0.0.1:8088", b"Phpgw-Event: probe"):
            self.assertIn(line + b"\r\n", request)
        lines = (b"HTTP/1.1 " + status, b"Content-Length: 2", *headers, b"", b"ok")
        server.send(b"\r\n".join(lines))
        self.assertTrue(server.disconnecting)
        return probed

    def test_probe(self) -> None:
        """Whatever could come from PHP will do, be it that it wants none of this."""
        for status in (
            b"200 OK",
            b"204 No",
            b"302 Found",
            b"401 Who",
            b"403 No",
            b"405 No",
            b"500 Oh",
        ):
            self.successResultOf(self.probe(status))

    def test_probe_that_finds_no_php(self) -> None:
        for status, fix in {
            b"404 Not Found": "is the path of --php-url right?",
            b"502 Bad Gateway": "its web server gets no answer from PHP",
            b"503 Service Unavailable": "no answer from PHP",
            b"504 Gateway Timeout": "no answer from PHP",
            b"301 Moved": "to 'https://example.com/': --php-url has to be where the script is",
            b"308 Moved": "--php-url has to be",
        }.items():
            probed = self.probe(status, b"Location: https://example.com/")
            failure = self.failureResultOf(probed, BackendUnreachable, ScriptNotFound)
            self.assertEqual(failure.type is BackendUnreachable, status.startswith(b"50"))
            problem = str(failure.value)
            self.assertIn(fix, problem)
            self.assertIn("http://127.0.0.1:8088/websocket.php?a=b", problem)

    def test_probe_without_answer(self) -> None:
        probed = self.backend.probe()
        self.accept()
        self.reactor.advance(10)
        self.failureResultOf(probed, BackendTimeout)
        probed = self.backend.probe()
        probed.cancel()
        self.failureResultOf(probed, CancelledError)

    def test_closed_while_php_works(self) -> None:
        answer = self.ask()
        server = self.accept()
        self.successResultOf(self.backend.close())
        self.failureResultOf(answer, BackendBroken)
        self.assertTrue(server.is_aborted)
        self.assertEqual(self.reactor.getDelayedCalls(), [])
