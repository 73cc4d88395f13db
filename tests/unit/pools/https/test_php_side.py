"""Tests for :mod:`phpgw.pools.https.php_side`."""

import random

from phpgw.pools.https import php_side
from tests.support.api_pool import GET, OK, ApiTestCase, Php

_HEAD = b"POST / HTTP/1.1\r\nHost: localhost\r\n"


class BadRequestTests(ApiTestCase):
    def refused(self, status: int, request: bytes) -> None:
        """The request gets a response of the pool's own; the server hears nothing of it."""
        php = self.connect()
        php.send(request)
        self.assertTrue(php.received().startswith(b"HTTP/1.1 %d " % status), request)
        self.assertTrue(php.is_closed)
        self.assertEqual([], self.pool.waiting)

    def test_smuggling(self) -> None:
        """A request whose end could be read in two ways is refused."""
        for lines in (
            b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n",
            b"Transfer-Encoding: chunked\r\nContent-Length: 2\r\n",
            b"Content-Length: 2\r\nContent-Length: 2\r\n",
            b"Content-Length: 2\r\nContent-Length: 3\r\n",
            b"Content-Length: +2\r\n",
            b"Content-Length: 2,2\r\n",
            b"Content-Length: 0x2\r\n",
            b"Content-Length: \r\n",
            b"Content-Length : 2\r\n",
            b"Content-Length: 99999999999999999999999\r\n",
            b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
            b"Transfer-Encoding: xchunked\r\n",
            b"Transfer-Encoding: chunked, identity\r\n",
            b"Transfer-Encoding:\r\n chunked\r\n",
            b"X: a\r\n folded\r\n",
            b"X: a\nY: b\r\n",
            b"X: a\rY: b\r\n",
            b"X: a\0b\r\n",
            b"X Y: a\r\n",
            b": a\r\n",
        ):
            self.refused(400, _HEAD + lines + b"\r\nok")
        self.refused(501, _HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n")
        self.refused(400, b"POST / HTTP/1.1\nHost: localhost\n\n")
        self.refused(400, b"GET /a b HTTP/1.1\r\nHost: localhost\r\n\r\n")

    def test_bad_chunks(self) -> None:
        """The connection to the server, which has seen half a request, is closed."""
        for chunks in (
            *(b"0x2\r\nok\r\n", b"2\nok\n", b"2 \r\nok\r\n", b"-2\r\nok\r\n", b"2\r\nokXX0\r\n"),
            *(b"fffffffffffffffff\r\nok", b"g\r\n", b"\r\n"),
        ):
            php, api = self.ask(_HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
            php.send(chunks)
            self.assertTrue(php.received().startswith(b"HTTP/1.1 400 "), chunks)
            self.assertTrue(api.is_closed, chunks)
        self.assertEqual([], self.pool.kept)

    def test_bad_chunk_within_the_response(self) -> None:
        """No error is written into a response that has begun."""
        php, api = self.ask(_HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
        api.send(OK[:-1])
        php.received()
        php.send(b"-1")
        self.assertEqual(b"", php.received())
        self.assertTrue(php.transport.is_aborted)
        self.assertTrue(api.is_closed)

    def test_not_http(self) -> None:
        for request in (b"\x00", b"HELO there\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"):
            self.refused(400, request)

    def test_tls(self) -> None:
        php = self.connect()
        php.send(b"\x16\x03\x01\x02\x00\x01")
        self.assertIn(b"http://", php.received())

    def test_size(self) -> None:
        """A head of more than 64 KB is refused while it comes."""
        php = self.connect()
        php.send(_HEAD)
        for _ in range(9):
            php.send(b"X: " + b"y" * 8192 + b"\r\n")
        self.assertTrue(php.received().startswith(b"HTTP/1.1 431 "))

    def test_trailers_without_end(self) -> None:
        php, api = self.ask(_HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\n")
        for _ in range(9):
            php.send(b"X: " + b"y" * 8192 + b"\r\n")
        self.assertTrue(php.received().startswith(b"HTTP/1.1 400 "))
        self.assertTrue(api.is_closed)

    def test_refused_head_request(self) -> None:
        php = self.connect()
        php.send(b"HEAD / HTTP/1.1\r\nHost: evil.example\r\n\r\n")
        self.assertTrue(php.received().endswith(b"\r\n\r\n"))


class ConnectionTests(ApiTestCase):
    def test_byte_by_byte(self) -> None:
        """It makes no difference how the bytes arrive."""
        request = (
            _HEAD + b"X-A: b\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nT: u\r\n\r\n"
        )
        php = self.connect()
        for start in range(len(request)):
            php.send(request[start : start + 1])
            if self.pool.waiting:
                api = self.pool.hand_over()
        self.assertEqual(
            b"POST / HTTP/1.1\r\nHost: api.example\r\nX-A: b\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"1\r\na\r\n1\r\nb\r\n1\r\nc\r\n0\r\nT: u\r\n\r\n",
            api.received(),
        )
        api.send(OK)
        self.assertEqual(OK, php.received())
        self.assertFalse(php.is_closed)

    def test_pipelined(self) -> None:
        """A request behind another is not carried out; PHP sees that by the closed connection."""
        for more in (GET, b"x", b"GET / HTTP/1.1\r\nContent-Length: 1\r\n"):
            for separate in (False, True):
                php = self.connect()
                php.send(GET if separate else GET + more)
                if separate:
                    php.send(more)
                api = self.pool.hand_over()
                self.assertEqual(1, api.received().count(b"GET "))
                api.send(OK)
                self.assertIn(b"HTTP/1.1 200 OK", php.received())
                self.assertTrue(php.is_closed)
                self.assertEqual([], self.pool.waiting)

    def test_close(self) -> None:
        php, api = self.ask(GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        self.assertNotIn(b"Connection", api.received())
        api.send(OK)
        self.assertIn(b"\r\nConnection: close\r\n", php.received())
        self.assertTrue(php.transport.disconnecting)

    def test_upgrade(self) -> None:
        """curl that would like HTTP/2 gets HTTP/1.1; with a body, it has to be told not to."""
        lines = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: A\r\n"
        php, api = self.ask(GET.replace(b"\r\n\r\n", b"\r\n" + lines + b"\r\n"))
        self.assertEqual(b"GET /a?b HTTP/1.1\r\nHost: api.example\r\n\r\n", api.received())
        api.send(OK)
        self.assertTrue(php.received().endswith(b"ok"))
        php = self.connect()
        php.send(_HEAD + lines + b"Content-Length: 2\r\n\r\nok")
        response = php.received()
        self.assertTrue(response.startswith(b"HTTP/1.1 501 "))
        self.assertIn(b"CURL_HTTP_VERSION_1_1", response)

    def test_idle(self) -> None:
        """PHP that sends nothing, or half a request, does not keep a connection for ever."""
        idle, half, used = self.connect(), self.connect(), self.connect()
        half.send(b"GET / HT")
        used.send(GET)
        self.pool.hand_over().send(OK)
        used.received()
        self.clock.advance(60)
        self.assertTrue(idle.transport.is_aborted)
        self.assertEqual(b"", idle.received())
        self.assertTrue(half.received().startswith(b"HTTP/1.1 408 "))
        self.assertTrue(used.transport.is_aborted)

    def test_not_read(self) -> None:
        """PHP that has yet to read a response has no next one, of which many would fill memory."""
        self.patch(php_side, "has_unsent", lambda transport: True)
        php, api = self.ask()
        api.send(OK)
        self.assertTrue(php.received().endswith(b"ok"))
        self.assertTrue(php.transport.disconnecting)
        self.assertEqual([api.connection], self.pool.kept)
        self.clock.advance(100)
        self.assertFalse(php.transport.is_aborted)

    def test_hostile_bytes(self) -> None:
        """No bytes raise an exception."""
        source = random.Random(14)
        valid = _HEAD + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n" + GET
        for _ in range(300):
            php = Php(self.site)
            data = bytearray(valid)
            for _ in range(source.randrange(1, 4)):
                data[source.randrange(len(data))] = source.randrange(256)
            cut = source.randrange(len(data))
            for piece in (bytes(data[:cut]), bytes(data[cut:])):
                php.send(piece)
                while self.pool.waiting:
                    self.pool.hand_over()
            php.leave()
        self.assertEqual([], self.pool.kept)
