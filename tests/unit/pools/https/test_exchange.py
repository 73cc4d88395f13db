"""Tests for :mod:`phpgw.pools.https.exchange`."""

from typing import Any

from phpgw.pools.errors import PoolFull, PoolStopping, ServerUnavailable
from phpgw.pools.https.fields import AddedFields
from tests.support.api_pool import GET, OK, Api, ApiTestCase

_POST = b"POST /p HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n\r\n"
_CHUNKED = b"POST /p HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
_TO_SERVER = b"POST /p HTTP/1.1\r\nHost: api.example\r\n"
_BEGUN = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nha"


class RequestTests(ApiTestCase):
    def test_passed_on(self) -> None:
        php, api = self.ask()
        self.assertEqual(b"GET /a?b HTTP/1.1\r\nHost: api.example\r\n\r\n", api.received())
        api.send(OK)
        self.assertEqual(OK, php.received())
        self.assertFalse(php.is_closed)

    def test_body_in_pieces(self) -> None:
        php, api = self.ask(_POST + b"b")
        self.assertEqual(_TO_SERVER + b"Content-Length: 4\r\n\r\nb", api.received())
        php.send(b"od")
        self.assertEqual(b"od", api.received())
        php.send(b"y")
        self.assertEqual(b"y", api.received())

    def test_chunks(self) -> None:
        """Chunks are made anew, without extensions; trailers pass."""
        php, api = self.ask(_CHUNKED)
        self.assertEqual(_TO_SERVER + b"Transfer-Encoding: chunked\r\n\r\n", api.received())
        php.send(b"2;x=y\r\nbo\r\n1\r\nd\r\n")
        self.assertEqual(b"3\r\nbod\r\n", api.received())
        php.send(b"0\r\nX-Sum: 3\r\nKeep-Alive: 9\r\n\r\n")
        self.assertEqual(b"0\r\nX-Sum: 3\r\n\r\n", api.received())

    def test_waits_for_a_connection(self) -> None:
        """Meanwhile the rest of the body stays where it is."""
        php = self.connect()
        php.send(_POST + b"bo")
        self.assertTrue(php.transport.is_paused)
        api = self.pool.hand_over()
        self.assertFalse(php.transport.is_paused)
        self.assertTrue(api.received().endswith(b"\r\n\r\nbo"))

    def test_slow_server(self) -> None:
        """A server that does not read slows PHP down."""
        php, api = self.ask(_POST)
        producer = api.transport.producer
        assert producer is not None
        producer.pauseProducing()
        self.assertTrue(php.transport.is_paused)
        producer.resumeProducing()
        self.assertFalse(php.transport.is_paused)

    def test_expectation(self) -> None:
        """Who waits with the body waits for the server."""
        request = _POST.replace(b"\r\n\r\n", b"\r\nExpect: 100-continue\r\n\r\n")
        php, api = self.ask(request)
        self.assertIn(b"Expect: 100-continue\r\n", api.received())
        self.assertEqual(b"", php.received())
        api.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        self.assertEqual(b"HTTP/1.1 100 Continue\r\n\r\n", php.received())
        php.send(b"body")
        self.assertEqual(b"body", api.received())


class BaseTests(ApiTestCase):
    base = b"/v1"
    added = AddedFields(b"Authorization: Bearer key\r\n", frozenset((b"authorization",)))

    def test_base_and_key(self) -> None:
        """All is below the path of the pool's URL; PHP's own key is replaced."""
        _, api = self.ask(GET.replace(b"\r\n\r\n", b"\r\nauthorization: none\r\n\r\n"))
        self.assertEqual(
            b"GET /v1/a?b HTTP/1.1\r\nHost: api.example\r\nAuthorization: Bearer key\r\n\r\n",
            api.received(),
        )

    def test_out_of_the_base(self) -> None:
        """No path leads out of it, however it is written."""
        for path in (
            *(b"/../admin", b"/..", b"/a/../../admin", b"/..?a", b"/.%2E/admin"),
            *(b"/a%2f..%2Fadmin", b"/..\\admin", b"/..;a/admin", b"http://api.example/../admin"),
        ):
            php = self.connect()
            php.send(b"GET %b HTTP/1.1\r\nHost: localhost\r\n\r\n" % path)
            self.assertTrue(php.received().startswith(b"HTTP/1.1 400 "), path)
        self.assertEqual([], self.pool.waiting)
        for path in (b"/a..b/...", b"/..a", b"/a?/../b"):
            _, api = self.ask(b"GET %b HTTP/1.1\r\nHost: localhost\r\n\r\n" % path)
            self.assertTrue(api.received().startswith(b"GET /v1%b HTTP" % path), path)

    def test_all_of_the_server(self) -> None:
        _, api = self.ask(b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n")
        self.assertTrue(api.received().startswith(b"OPTIONS * HTTP/1.1\r\n"))

    def test_key_in_trailers(self) -> None:
        """PHP sets no key there, either; the pool's own stands in no text of an error."""
        php, api = self.ask(_CHUNKED)
        api.received()
        php.send(b"0\r\nAuthorization: none\r\nX-Sum: 0\r\n\r\n")
        self.assertEqual(b"0\r\nX-Sum: 0\r\n\r\n", api.received())
        self.assertNotIn("key", repr(self.added))


class ResponseTests(ApiTestCase):
    def test_pieces(self) -> None:
        """Each piece is passed on when it comes."""
        php, api = self.ask()
        api.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        self.assertEqual(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", php.received())
        api.send(b"7\r\ndata: 1\r\n")
        self.assertEqual(b"7\r\ndata: 1\r\n", php.received())
        self.assertEqual([], self.pool.kept)
        api.send(b"0\r\nX-Sum: 1\r\n\r\n")
        self.assertEqual(b"0\r\nX-Sum: 1\r\n\r\n", php.received())
        self.assertEqual([api.connection], self.pool.kept)

    def test_connection_is_given_back(self) -> None:
        php, api = self.ask()
        api.send(OK)
        self.assertEqual([api.connection], self.pool.kept)
        php.send(GET)
        self.pool.hand_over(api)
        api.send(OK)
        self.assertEqual(OK + OK, php.received())

    def test_slow_php(self) -> None:
        """PHP that does not read slows the server down; the connection is given back unpaused."""
        php, api = self.ask()
        api.send(_BEGUN)
        producer = php.transport.producer
        assert producer is not None
        producer.pauseProducing()
        self.assertTrue(api.transport.is_paused)
        api.send(b"ha")
        self.assertFalse(api.transport.is_paused)
        self.assertIsNone(php.transport.producer)
        self.assertEqual([api.connection], self.pool.kept)

    def test_old_http(self) -> None:
        """HTTP/1.0 has no chunks and no interim responses: the end of the connection is the end."""
        php, api = self.ask(b"GET / HTTP/1.0\r\n\r\n")
        api.send(b"HTTP/1.1 103 Hints\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        api.send(b"2\r\nok\r\n0\r\n\r\n")
        self.assertEqual(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nok", php.received())
        self.assertTrue(php.is_closed)

    def test_old_kept(self) -> None:
        """A connection of HTTP/1.0 is closed, whatever PHP says of it: it may wait for that."""
        php, api = self.ask(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        api.send(OK)
        self.assertIn(b"\r\nConnection: close\r\n", php.received())
        self.assertTrue(php.is_closed)

    def test_response_before_the_body(self) -> None:
        """PHP gets it; neither connection is used again."""
        php, api = self.ask(_POST)
        api.send(OK)
        self.assertEqual(OK, php.received())
        self.assertTrue(php.transport.is_half_closed)
        php.send(b"body")
        self.assertEqual([api.connection], self.pool.discarded)
        self.clock.advance(60)
        self.assertTrue(php.transport.is_aborted)

    def test_cut_off(self) -> None:
        """PHP must not take half a body for a whole one."""
        for lose in (Api.leave, Api.reset):
            php, api = self.ask()
            api.send(_BEGUN)
            lose(api)
            self.assertTrue(php.transport.is_aborted)
            self.assertTrue(php.received().endswith(b"ha"))
        self.assertEqual([], self.pool.kept)


class ProblemTests(ApiTestCase):
    def refused(self, error: Exception) -> bytes:
        php = self.connect()
        php.send(GET)
        self.pool.waiting.pop().errback(error)
        self.assertTrue(php.is_closed)
        return php.received()

    def test_no_connection(self) -> None:
        full = self.refused(PoolFull("all 8 connections are in use"))
        self.assertTrue(full.startswith(b"HTTP/1.1 503 "))
        self.assertIn(b"\r\nRetry-After: 1\r\n", full)
        self.assertIn(b"all 8 connections are in use", full)
        self.assertTrue(self.refused(PoolStopping("stops")).startswith(b"HTTP/1.1 503 "))
        down = self.refused(ServerUnavailable("TLS: the certificate is for another name"))
        self.assertTrue(down.startswith(b"HTTP/1.1 502 "))
        self.assertIn(b"another name", down)

    def test_mistake(self) -> None:
        """An error of the gateway's own is logged, and tells PHP nothing of itself."""
        response = self.refused(ZeroDivisionError("secret"))
        self.assertTrue(response.startswith(b"HTTP/1.1 502 "))
        self.assertNotIn(b"secret", response)
        self.assertEqual(1, len(self.flushLoggedErrors(ZeroDivisionError)))

    def test_no_response(self) -> None:
        """The request is not sent again: it may have been carried out."""
        php, api = self.ask()
        api.leave()
        response = php.received()
        self.assertTrue(response.startswith(b"HTTP/1.1 502 "))
        self.assertIn(b"not known", response)
        self.assertEqual([], self.pool.waiting)

    def test_time_is_over(self) -> None:
        php, api = self.ask()
        self.clock.advance(30)
        self.assertTrue(php.received().startswith(b"HTTP/1.1 504 "))
        self.assertTrue(api.is_closed)

    def test_body_does_not_come(self) -> None:
        php, api = self.ask(_POST + b"bo")
        self.clock.advance(30)
        self.assertTrue(php.received().startswith(b"HTTP/1.1 408 "))
        self.assertTrue(api.is_closed)

    def test_response_stands_still(self) -> None:
        """As long as something moves, a response may take any time."""
        php, api = self.ask()
        api.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(5):
            self.clock.advance(29)
            api.send(b"1\r\nx\r\n")
        self.assertFalse(php.is_closed)
        self.clock.advance(30)
        self.assertTrue(php.transport.is_aborted)
        self.assertEqual([api.connection], self.pool.discarded)

    def test_php_leaves(self) -> None:
        """Its connection is never given to another: the rest of a response could come over it."""
        for start in (b"", _BEGUN):
            php, api = self.ask()
            if start:
                api.send(start)
            php.leave()
            self.assertTrue(api.is_closed)
        self.assertEqual([], self.pool.kept)

    def test_php_leaves_while_it_waits(self) -> None:
        php = self.connect()
        php.send(GET)
        waiting: Any = self.pool.waiting[0]
        php.leave()
        self.assertTrue(waiting.called)
        self.assertIsNone(self.successResultOf(waiting))
        self.clock.advance(100)
