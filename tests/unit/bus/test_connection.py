"""Tests for :mod:`phpgw.bus.connection`."""

from typing import Any

from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from phpgw.bus import connection as module
from phpgw.bus.connection import EngineError, RedisConnection
from phpgw.bus.interface import BusUnavailable
from tests.support.fake_redis import encoded, push


class ConnectionTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.frames: list[tuple[bytes, bytes]] = []
        self.connection = RedisConnection(lambda *frame: self.frames.append(frame))
        self.transport = StringTransport()
        self.connection.makeConnection(self.transport)
        self.ended = self.connection.when_ended()

    def failure(self, deferred: Any) -> Any:
        return self.failureResultOf(deferred, BusUnavailable).value

    def test_replies(self) -> None:
        """Replies belong to the requests in their order, however the bytes arrive."""
        asked = [self.connection.request(("GET", b"a")), self.connection.request(("GET", b"b"))]
        self.assertEqual(
            b"*2\r\n$3\r\nGET\r\n$1\r\na\r\n*2\r\n$3\r\nGET\r\n$1\r\nb\r\n", self.transport.value()
        )
        for byte in encoded(b"1\r\n") + encoded([1, {"a": 2}]):
            self.connection.dataReceived(bytes([byte]))
        self.assertEqual([b"1\r\n", [1, {b"a": 2}]], [self.successResultOf(each) for each in asked])
        self.assertEqual(0, len(self.connection))

    def test_frames(self) -> None:
        """Frames come between replies."""
        asked = self.connection.request(("PUBLISH", "a", "b"))
        data = push("message", "a", b"\0\r\n") + encoded(1) + push("message", "c", "d")
        self.connection.dataReceived(data)
        self.assertEqual([(b"a", b"\0\r\n"), (b"c", b"d")], self.frames)
        self.assertEqual(1, self.successResultOf(asked))

    def test_subscriptions(self) -> None:
        """A subscription is in force once each of its channels is confirmed."""
        first = self.connection.subscribe([b"a", b"b"])
        ending = self.connection.unsubscribe([b"a"])
        after = self.connection.request(("PING",))
        self.connection.dataReceived(push("subscribe", "a", 1))
        self.assertNoResult(first)
        self.connection.dataReceived(push("subscribe", "b", 2))
        self.successResultOf(first)
        self.connection.dataReceived(push("unsubscribe", "a", 1) + b"+PONG\r\n")
        self.successResultOf(ending)
        self.assertEqual(b"PONG", self.successResultOf(after))

    def test_subscription_refused(self) -> None:
        """A refused subscription fails, and no reply goes to another request."""
        refused = self.connection.subscribe([b"a", b"b"])
        after = self.connection.request(("PING",))
        self.connection.dataReceived(b"-NOPERM no channel\r\n+PONG\r\n")
        self.assertEqual("NOPERM", self.failure(refused).code)
        self.assertEqual(b"PONG", self.successResultOf(after))

    def test_errors(self) -> None:
        """An error fails its request alone, and was certainly not done."""
        refused = self.connection.request(("SET", "a", "b"))
        after = self.connection.request(("PING",))
        self.connection.dataReceived(b"-OOM too much\r\n+PONG\r\n")
        error = self.failure(refused)
        self.assertIsInstance(error, EngineError)
        self.assertEqual(("OOM", False), (error.code, error.may_be_done))
        self.successResultOf(after)
        self.assertNoResult(self.ended)

    def test_fatal_errors(self) -> None:
        """A server that has become a replica, or loads its data, is left."""
        for code in ("READONLY", "LOADING", "MASTERDOWN", "NOAUTH"):
            self.setUp()
            refused = self.connection.request(("SET", "a", "b"))
            self.connection.dataReceived(f"-{code} why\r\n".encode())
            self.failure(refused)
            self.assertIn(code, self.successResultOf(self.ended))
            self.assertTrue(self.transport.disconnected)

    def test_lost(self) -> None:
        """With the connection, all requests fail that wait; perhaps they were done."""
        asked = [self.connection.request(("PING",)), self.connection.subscribe([b"a"])]
        self.connection.connectionLost(Failure(ConnectionLost()))
        for each in asked:
            self.assertTrue(self.failure(each).may_be_done)
        self.assertIn("it was closed", self.successResultOf(self.ended))
        late = [self.connection.request(("PING",)), self.connection.subscribe([b"a"])]
        for each in late:
            self.assertFalse(self.failure(each).may_be_done)

    def test_order_at_the_end(self) -> None:
        """Who is told of a failed request finds the connection ended."""
        order: list[str] = []
        self.ended.addCallback(lambda _: order.append("ended"))
        asked = self.connection.request(("PING",))
        asked.addErrback(lambda _: order.append("failed"))
        self.connection.end("broken")
        self.connection.connectionLost(Failure(ConnectionDone()))
        self.assertEqual(["ended", "failed"], order)

    def test_not_resp(self) -> None:
        """What is no RESP3, or belongs to no request, ends the connection."""
        for data in (
            b"HTTP/1.1 400 Bad Request\r\n\r\n",
            b"+OK\r\n",
            push("subscribe", "a", 1),
            b"$-7\r\n",
        ):
            self.setUp()
            self.connection.dataReceived(data)
            self.successResultOf(self.ended)
        self.setUp()
        self.connection.subscribe([b"a"]).addErrback(lambda _: None)
        self.connection.dataReceived(b"+OK\r\n")
        self.successResultOf(self.ended)

    def test_limits(self) -> None:
        """Requests that wait are limited, in number and in bytes; those beyond fail at once."""
        self.patch(module, "_MAX_PENDING", 2)
        waiting = [self.connection.request(("PING",)) for _ in range(2)]
        self.assertIn("2 requests wait", str(self.failure(self.connection.request(("PING",)))))
        self.connection.dataReceived(b"+PONG\r\n")
        self.successResultOf(waiting[0])
        self.patch(module, "_MAX_PENDING_BYTES", 100)
        self.connection.request(("PUBLISH", "a", b"x" * 200))
        self.connection.dataReceived(b"+PONG\r\n")
        self.failure(self.connection.request(("PING",)))
        self.connection.dataReceived(b":0\r\n")
        self.assertNoResult(self.connection.request(("PING",)))

    def test_broken_observer(self) -> None:
        """An exception in the one who takes frames is logged, and all else goes on."""
        connection = RedisConnection(lambda *_: 1 / 0)  # type: ignore[arg-type]
        connection.makeConnection(StringTransport())
        asked = connection.request(("PING",))
        connection.dataReceived(push("message", "a", "b") + b"+PONG\r\n")
        self.assertEqual(1, len(self.flushLoggedErrors(ZeroDivisionError)))
        self.successResultOf(asked)

    def test_other_pushes(self) -> None:
        """Pushes of other kinds are ignored."""
        self.connection.dataReceived(push("invalidate", ["a"]))
        self.assertNoResult(self.ended)
