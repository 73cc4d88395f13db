"""Tests for :mod:`phpgw.pools.redis.server_connection` and its connector."""

from typing import Any

from twisted.internet.defer import CancelledError
from twisted.internet.error import ConnectionRefusedError as ConnectRefused
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from phpgw.pools.errors import ServerUnavailable
from phpgw.pools.redis.connector import RedisConnector
from phpgw.pools.redis.login import RedisLogin
from tests.support.pooled_redis import PooledRedis


class ConnectTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(77)
        self.server = PooledRedis()
        self.password = b"first"
        self.lost: list[Any] = []
        self.connector = RedisConnector(
            self.clock, self.server, self.login, lambda each: self.lost.append(each)
        )

    def login(self) -> RedisLogin:
        return RedisLogin(user=b"app", password=self.password, database=0)

    def reason(self) -> str:
        return str(self.failureResultOf(self.connector.connect(None), ServerUnavailable).value)

    def test_connected(self) -> None:
        """It has logged in, and knows how it can be cleaned."""
        connection = self.successResultOf(self.connector.connect(None))
        self.assertEqual([b"AUTH", b"app", b"first"], self.server.transports[0].requests[0])
        self.assertIsNotNone(connection.cleaning)
        self.assertEqual(77, connection.opened_at)

    def test_password_is_read_anew(self) -> None:
        """The next connection has the new password, and the old one is cleaned with its own."""
        connection = self.successResultOf(self.connector.connect(None))
        self.password = b"second"
        self.successResultOf(self.connector.connect(None))
        self.assertIn([b"AUTH", b"app", b"second"], self.server.transports[1].requests)
        self.assertTrue(self.successResultOf(connection.clean()))
        self.assertNotIn([b"AUTH", b"app", b"second"], self.server.transports[0].requests)

    def test_refused(self) -> None:
        """The reason names nothing secret, and the socket is closed."""
        self.server.replies[b"AUTH"] = b"-WRONGPASS invalid first\r\n"
        self.assertEqual("it refuses user and password", self.reason())
        self.assertFalse(self.server.transports[0].connected)

    def test_unreachable(self) -> None:
        self.server.error = ConnectRefused()
        self.assertIn("refused", self.reason())

    def test_other_protocol(self) -> None:
        self.server.reply = lambda words: b"HTTP/1.1 400 Bad Request\r\n"  # type: ignore[method-assign]
        self.assertEqual("it does not speak the protocol of Redis", self.reason())

    def test_closed_in_the_login(self) -> None:
        self.server.is_silent = True
        connecting = self.connector.connect(None)
        self.server.transports[0].send(b"-ERR max number of clients reached\r\n")
        self.server.transports[0].drop()
        failure = self.failureResultOf(connecting, ServerUnavailable)
        self.assertEqual("it has its maximum number of clients", str(failure.value))
        connecting = self.connector.connect(None)
        self.server.transports[1].drop()
        failure = self.failureResultOf(connecting, ServerUnavailable)
        self.assertIn("it was closed", str(failure.value))

    def test_cancelled(self) -> None:
        """Who waits no longer cancels it, which closes the socket."""
        self.server.is_silent = True
        connecting = self.connector.connect(None)
        connecting.cancel()
        self.failureResultOf(connecting, CancelledError)
        self.assertFalse(self.server.transports[0].connected)
        self.assertEqual([], self.lost)

    def test_closing(self) -> None:
        """What was sent last may arrive; a server that takes nothing is not waited for."""
        connection = self.successResultOf(self.connector.connect(None))
        transport = self.server.transports[0]
        self.patch(transport, "loseConnection", lambda: None)
        connection.close()
        connection.close()
        self.assertFalse(transport.was_aborted)
        self.clock.advance(2.1)
        self.assertTrue(transport.was_aborted)

    def test_closed(self) -> None:
        """Nothing is left to be done once it is closed."""
        connection = self.successResultOf(self.connector.connect(None))
        connection.close()
        self.assertEqual([], self.clock.getDelayedCalls())
        self.assertEqual([], self.lost)
