"""Tests for :mod:`phpgw.pools.https.server_side`."""

import random

from twisted.internet.error import ConnectionLost

from phpgw.pools.https import server_side
from tests.support.api_pool import GET, OK, Api, ApiTestCase

_HEAD = b"HEAD / HTTP/1.1\r\nHost: localhost\r\n\r\n"


class ResponseTests(ApiTestCase):
    def test_byte_by_byte(self) -> None:
        """It makes no difference how the bytes arrive."""
        response = (
            b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
            b"HTTP/1.1 404 Not Found\r\nX: y\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"3;x=y\r\nabc\r\n0\r\nT: u\r\n\r\n"
        )
        php, api = self.ask()
        for start in range(len(response)):
            api.send(response[start : start + 1])
        self.assertEqual(
            b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
            b"HTTP/1.1 404 Not Found\r\nX: y\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"1\r\na\r\n1\r\nb\r\n1\r\nc\r\n0\r\nT: u\r\n\r\n",
            php.received(),
        )
        self.assertEqual([api.connection], self.pool.kept)

    def test_no_body(self) -> None:
        """By method or status, whatever the length is said to be; the next response is in place."""
        for request, status in ((_HEAD, 200), (GET, 204), (GET, 304), (_HEAD, 304), (_HEAD, 404)):
            php, api = self.ask(request)
            api.send(b"HTTP/1.1 %d Status\r\nContent-Length: 2\r\n\r\n" % status)
            self.assertTrue(php.received().endswith(b"\r\n\r\n"))
            self.assertEqual(api.connection, self.pool.kept[-1])
            php.send(GET)
            self.pool.hand_over(api)
            api.send(OK)
            self.assertEqual(OK, php.received())

    def test_chunked_head(self) -> None:
        php, api = self.ask(_HEAD)
        api.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        self.assertEqual(b"HTTP/1.1 200 OK\r\n\r\n", php.received())
        self.assertEqual([api.connection], self.pool.kept)

    def test_more_than_a_response(self) -> None:
        """What is behind a response could be taken for the next one."""
        for request, response in ((GET, OK), (_HEAD, OK[:-2])):
            for more in (b"x", OK, b"\x00", b"HTTP/1.1 200", b"\r\nx"):
                php, api = self.ask(request)
                api.send(response + more)
                self.assertEqual(response, php.received())
                self.assertTrue(api.is_closed, more)
        self.assertEqual([], self.pool.kept)

    def test_unasked(self) -> None:
        """A server that says something on an idle connection has it closed."""
        for more in (b"x", OK):
            php, api = self.ask()
            api.send(OK)
            api.send(more)
            self.assertEqual(OK, php.received())
            self.assertTrue(api.is_closed)
            self.assertFalse(api.connection.is_alive())

    def test_not_kept(self) -> None:
        for head in (b"HTTP/1.1 200 OK\r\nConnection: close\r\n", b"HTTP/1.0 200 OK\r\n"):
            php, api = self.ask()
            api.send(head + b"Content-Length: 2\r\n\r\nok")
            self.assertEqual(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", php.received())
            self.assertEqual([api.connection], self.pool.discarded[-1:])

    def test_until_the_connection_ends(self) -> None:
        """Only a proper end of the connection is the end of the body."""
        for leave, end in ((Api.leave, b"0\r\n\r\n"), (Api.reset, b"")):
            php, api = self.ask()
            api.send(b"HTTP/1.1 200 OK\r\n\r\nok")
            leave(api)
            self.assertTrue(php.received().endswith(b"2\r\nok\r\n" + end))
            self.assertEqual(not end, php.transport.is_aborted)

    def test_no_http(self) -> None:
        """What cannot be understood for certain is a 502."""
        for response in (
            b"SMTP\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 2x\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n",
            b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n",
            b"HTTP/1.1 200 OK\r\n" + b"X: " + b"y" * 70_000,
        ):
            php, api = self.ask()
            api.send(response)
            received = php.received()
            self.assertTrue(received.startswith(b"HTTP/1.1 502 "), (response[:80], received))
            self.assertTrue(api.is_closed)

    def test_bad_chunks(self) -> None:
        php, api = self.ask()
        api.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\nx")
        self.assertTrue(php.transport.is_aborted)
        self.assertTrue(api.is_closed)

    def test_trailers_without_end(self) -> None:
        php, api = self.ask()
        api.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n")
        for _ in range(9):
            api.send(b"X: " + b"y" * 8192 + b"\r\n")
        self.assertTrue(php.transport.is_aborted)
        self.assertTrue(api.is_closed)

    def test_hostile_bytes(self) -> None:
        """No bytes raise an exception, and after none that is odd a connection is kept."""
        source = random.Random(14)
        valid = (
            b"HTTP/1.1 103 Hints\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"3\r\nabc\r\n0\r\nT: u\r\n\r\n"
        )
        for _ in range(300):
            php, api = self.ask()
            data = bytearray(valid)
            for _ in range(source.randrange(1, 4)):
                data[source.randrange(len(data))] = source.randrange(256)
            cut = source.randrange(len(data))
            api.send(bytes(data[:cut]))
            api.send(bytes(data[cut:]))
            api.leave()
            if not php.is_closed:
                php.leave()


class IdleTests(ApiTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.looks: list[bool] = []
        self.is_quiet = True
        self.patch(server_side, "is_quiet", self.look)

    def look(self, transport: object) -> bool:
        self.looks.append(self.is_quiet)
        return self.is_quiet

    def test_named_time(self) -> None:
        """An idle connection is given up before its server closes it."""
        _, api = self.ask()
        api.send(OK.replace(b"\r\n\r\n", b"\r\nKeep-Alive: timeout=5\r\n\r\n"))
        self.clock.advance(3.9)
        self.assertTrue(api.connection.is_alive())
        self.clock.advance(0.1)
        self.assertFalse(api.connection.is_alive())

    def test_peek(self) -> None:
        """What the server has sent or closed is seen before the reactor tells."""
        _, api = self.ask()
        api.send(OK)
        self.assertTrue(api.connection.is_alive())
        self.is_quiet = False
        self.assertFalse(api.connection.is_alive())
        self.assertEqual([True, False], self.looks)

    def test_new(self) -> None:
        """A server sends things of TLS after the handshake; they are no reason to close."""
        self.is_quiet = False
        self.assertTrue(Api(self.clock).connection.is_alive())

    def test_closed(self) -> None:
        """The pool is told of the end of an idle connection; it is not closed twice."""
        _, api = self.ask()
        api.send(OK)
        api.connection.connectionLost()
        self.assertEqual([api.connection], api.losses)
        api.connection.close()
        self.assertFalse(api.is_closed)
        self.assertFalse(api.connection.is_alive())
        other = Api(self.clock)
        other.leave(ConnectionLost)
        self.assertFalse(other.connection.is_alive())
