"""Tests for :mod:`phpgw.web.fast_path_site`: without a fast path, it is any other site."""

import socket
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import Resource

from phpgw.metrics import Metrics
from phpgw.transport.socket_reactor import SocketReactor
from phpgw.web.fast_path_site import FastPathChannel, FastPathSite, FastResponse
from phpgw.web.idle_connections import IdleConnections
from tests.support import fakes
from tests.support.epoll_reactor import FakeEpollReactor
from tests.unit.web import test_idle_connections, test_strict_http

_FEW = partial(FastPathSite, [])


class WritingTests(test_strict_http.WritingTests):
    def setUp(self) -> None:
        self.patch(fakes, "GatewaySite", _FEW)
        super().setUp()


class SizeTests(test_strict_http.SizeTests):
    def setUp(self) -> None:
        self.patch(fakes, "GatewaySite", _FEW)
        super().setUp()


class TimeTests(test_strict_http.TimeTests):
    def setUp(self) -> None:
        self.patch(fakes, "GatewaySite", _FEW)
        super().setUp()

    def test_afterwards(self) -> None:
        """One timer remains, that of all new connections."""
        for data in (b"", b"POST"):
            self.setUp()
            self.exchange.send(data)
            self.exchange.hang_up()
            self.assertEqual(2, len(self.exchange.clock.getDelayedCalls()))


class PipeliningTests(test_strict_http.PipeliningTests):
    def setUp(self) -> None:
        self.patch(fakes, "GatewaySite", _FEW)
        super().setUp()


class IdleConnectionsTests(test_idle_connections.IdleConnectionsTests):
    def setUp(self) -> None:
        self.patch(test_idle_connections, "GatewaySite", _FEW)
        super().setUp()

    def test_begins_late(self) -> None:
        """The first bytes of a request do not make a connection a newer one."""
        browsers = [self.connect() for _ in range(3)]
        browsers[0].send(b"GET / HT")
        browsers.append(self.connect())
        self.assert_cut(True, False, False, False, among=browsers)


class _Echo:
    """A fast path for anything in brackets; ``last`` in them is the last request."""

    def serve(self, channel: FastPathChannel, data: bytes) -> bool:
        is_served = data.startswith(b"[") and data.endswith(b"]")
        if is_served:
            channel.respond(data, is_last=b"last" in data)
        return is_served


class _Later:
    """A fast path for anything in braces, which responds when the test says so."""

    def __init__(self) -> None:
        self.responses: list[Deferred[FastResponse]] = []

    def serve(self, channel: FastPathChannel, data: bytes) -> bool:
        is_served = data.startswith(b"{") and data.endswith(b"}")
        if is_served:
            self.responses.append(Deferred())
            channel.respond_later(self.responses[-1])
        return is_served


class SocketTests(SynchronousTestCase):
    """With real sockets, and without a reactor that runs."""

    def setUp(self) -> None:
        self.reactor = FakeEpollReactor()
        self.metrics = Metrics()
        self.later = _Later()
        reactor = SocketReactor(self.reactor)
        idle_connections = IdleConnections(self.reactor, 3, self.metrics)
        self.site = FastPathSite(
            [_Echo(), self.later], Resource(), 1000, self.reactor, idle_connections=idle_connections
        )
        self.port: Any = reactor.listenTCP(0, self.site, interface="127.0.0.1")
        self.addCleanup(self.end)

    def end(self) -> None:
        self.port.loseConnection()
        self.reactor.advance(0)
        self.reactor.stop()

    def connect(self) -> socket.socket:
        peer = socket.create_connection(("127.0.0.1", self.port.getHost().port), timeout=5)
        self.addCleanup(peer.close)
        return peer

    def turn(self) -> None:
        self.reactor.turn()

    def watched(self) -> int:
        return len(self.reactor.poller.remove_all()) - 1

    def test_read_when_accepted(self) -> None:
        """One turn is enough, and nothing is left of a connection with a single request."""
        peer = self.connect()
        peer.sendall(b"[last]")
        self.turn()
        self.assertEqual([b"[last]", b""], [peer.recv(100), peer.recv(100)])
        self.assertEqual(0, self.metrics.http_connections_now)
        self.assertEqual(0, self.watched())

    def test_read_later(self) -> None:
        peer = self.connect()
        self.turn()
        self.assertEqual(1, self.metrics.http_connections_now)
        for request in (b"[a]", b"[b]"):
            peer.sendall(request)
            self.turn()
            self.assertEqual(request, peer.recv(100))
        peer.close()
        self.turn()
        self.assertEqual(0, self.metrics.http_connections_now)
        self.assertEqual(0, self.watched())

    def test_closed_at_once(self) -> None:
        self.connect().close()
        self.turn()
        self.turn()
        self.assertEqual(0, self.metrics.http_connections_now)
        self.assertEqual(0, self.watched())

    def test_response_that_comes_later(self) -> None:
        """Meanwhile the connection is not idle, and what it sends is kept."""
        peer = self.connect()
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, True)
        for _ in range(2):
            peer.sendall(b"{a}")
            self.turn()
            self.assertEqual(0, self.metrics.http_connections_now)
            peer.sendall(b"[b]")
            self.turn()
            self.reactor.advance(100)
            self.turn()
            self.later.responses.pop().callback(FastResponse(b"later", is_last=False))
            self.assertEqual(b"later[b]", peer.recv(100))
            self.assertEqual(1, self.metrics.http_connections_now)
        peer.sendall(b"{a}")
        self.turn()
        self.later.responses.pop().callback(FastResponse(b"the last", is_last=True))
        self.assertEqual([b"the last", b""], [peer.recv(100), peer.recv(100)])
        self.assertEqual(0, self.watched())

    def test_peer_that_left_before_its_response(self) -> None:
        peer = self.connect()
        peer.sendall(b"{a}")
        self.turn()
        peer.close()
        self.turn()
        self.later.responses.pop().callback(FastResponse(b"later", is_last=False))
        self.assertEqual(0, self.metrics.http_connections_now)
        self.assertEqual(0, self.watched())

    def test_response_that_fails(self) -> None:
        """The peer does not wait for ever."""
        peer = self.connect()
        peer.sendall(b"{a}")
        self.turn()
        self.later.responses.pop().errback(ValueError())
        self.reactor.advance(0)
        self.assertRaises(ConnectionResetError, peer.recv, 100)
        self.assertEqual(1, len(self.flushLoggedErrors(ValueError)))

    def test_silence(self) -> None:
        """Before the first request, and between two."""
        silent, waiting = self.connect(), self.connect()
        waiting.sendall(b"[a]")
        self.turn()
        self.assertEqual(b"[a]", waiting.recv(100))
        self.reactor.advance(10.1)
        self.turn()
        self.assertEqual(b"", silent.recv(100))
        self.assertEqual(1, self.metrics.requests_timed_out)
        waiting.setblocking(False)
        self.assertRaises(BlockingIOError, waiting.recv, 100)
        self.reactor.advance(50)
        self.turn()
        self.assertEqual(b"", waiting.recv(100))
        self.assertEqual(1, self.metrics.requests_timed_out)

    def test_then_twisted_web(self) -> None:
        peer = self.connect()
        peer.sendall(b"[a]")
        self.turn()
        peer.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        self.turn()
        self.turn()
        self.assertTrue(peer.recv(10_000).startswith(b"[a]HTTP/1.1 404 "))

    def test_peer_does_not_read(self) -> None:
        """Then it is a whole channel, which stops reading."""
        peer = self.connect()
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        self.turn()
        peer.setblocking(False)
        request = b"[%b]" % (b"x" * 50_000)
        for _ in range(500):
            try:
                peer.send(request)
            except BlockingIOError:
                break
            self.turn()
        else:
            self.fail("the channel reads on")

    def test_limit(self) -> None:
        peers = [self.connect() for _ in range(4)]
        self.turn()
        self.reactor.advance(0)
        self.assertRaises(ConnectionResetError, peers[0].recv, 100)
        self.assertEqual(3, self.metrics.http_connections_now)
        self.assertEqual(1, self.metrics.http_connections_dropped)
