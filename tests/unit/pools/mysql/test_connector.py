"""Tests for :mod:`phpgw.pools.mysql.connector` and its connections."""

from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionRefusedError as ConnectRefused
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from phpgw.pools import lent_connection
from phpgw.pools.errors import ServerUnavailable
from phpgw.pools.mysql.capabilities import Capability
from phpgw.pools.mysql.cleaning import NotClean
from phpgw.pools.mysql.connector import MySqlConnector, ServerRefused
from phpgw.pools.mysql.login_means import LoginMeans
from phpgw.pools.mysql.packets import encode_packet
from phpgw.pools.mysql.responses import ErrAnswer
from phpgw.pools.mysql.server_connection import MySqlConnection
from phpgw.pools.mysql.server_login import Account
from phpgw.pools.mysql.session_key import SessionKey
from tests.support.pooled_mysql import PooledMySql

_KEY = SessionKey(b"shop", Capability.MULTI_RESULTS, 45)


class ConnectorTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.patch(lent_connection, "is_quiet", lambda transport: transport.connected)
        self.clock = Clock()
        self.clock.advance(77)
        self.server = PooledMySql()
        self.password = b"first"
        self.lost: list[Any] = []
        self.connector = MySqlConnector(
            self.clock, self.server, self.means, lambda each: self.lost.append(each)
        )

    def means(self) -> LoginMeans:
        return LoginMeans(Account(b"app", self.password), None, is_private=False)

    def connect(self) -> MySqlConnection:
        return self.successResultOf(self.connector.connect(_KEY))


class ConnectTests(ConnectorTestCase):
    def reason(self) -> str:
        return str(self.failureResultOf(self.connector.connect(_KEY), ServerUnavailable).value)

    def test_connected(self) -> None:
        """It has logged in, and knows its number, and what a new session is like."""
        connection = self.connect()
        login = self.server.transports[0].login
        assert login is not None
        self.assertEqual((b"app", b"shop", 45), (login.user, login.database, login.collation))
        self.assertEqual(1, connection.connection_id)
        self.assertEqual(77, connection.opened_at)
        assert connection.session is not None
        self.assertTrue(connection.session.is_cleanable)
        self.assertTrue(connection.is_alive())
        assert self.connector.greeting is not None
        self.assertEqual(b"8.0.1-fake", self.connector.greeting.version)

    def test_password_is_read_anew(self) -> None:
        self.connect()
        self.password = b"second"
        self.connect()
        first, second = (transport.login for transport in self.server.transports)
        assert first is not None
        assert second is not None
        self.assertNotEqual(first.proof, second.proof)

    def test_statements_at_login(self) -> None:
        """Where the server runs statements at each login, a session is used once."""
        self.server.init_connect = b"SET @x = 1"
        session = self.connect().session
        assert session is not None
        self.assertFalse(session.is_cleanable)

    def test_refused(self) -> None:
        """The server's own error is kept, and the socket is closed."""
        self.server.refusal = ErrAnswer(1049, "42000", "Unknown database 'shop'")
        error = self.failureResultOf(self.connector.connect(_KEY), ServerRefused).value
        self.assertEqual(1049, error.error.code)
        self.assertFalse(self.server.transports[0].connected)
        self.assertEqual([], self.lost)

    def test_unreachable(self) -> None:
        self.server.error = ConnectRefused()
        self.assertIn("refused", self.reason())

    def test_no_password(self) -> None:
        """A file that cannot be read is the reason."""

        def fails() -> LoginMeans:
            raise OSError("the file is gone")

        self.connector = MySqlConnector(self.clock, self.server, fails, self.lost.append)
        self.assertIn("the file is gone", self.reason())
        self.assertEqual([], self.server.transports)

    def test_other_protocol(self) -> None:
        connecting = self.connect_to_silent()
        self.server.transports[0].send(b"HTTP/1.1 400 Bad Request\r\n")
        failure = self.failureResultOf(connecting, ServerUnavailable)
        self.assertIn("does not speak MySQL", str(failure.value))
        self.assertFalse(self.server.transports[0].connected)

    def test_closed(self) -> None:
        connecting = self.connect_to_silent()
        self.server.transports[0].drop()
        failure = self.failureResultOf(connecting, ServerUnavailable)
        self.assertIn("closed", str(failure.value))
        self.assertEqual([], self.lost)

    def test_cancelled(self) -> None:
        """Whoever gives up leaves no socket behind."""
        connecting = self.connect_to_silent()
        connecting.cancel()
        self.failureResultOf(connecting, CancelledError)
        self.assertFalse(self.server.transports[0].connected)

    def connect_to_silent(self) -> Deferred[MySqlConnection]:
        """Connect to a server that answers nothing."""
        self.server.is_silent = True
        connecting = self.connector.connect(_KEY)
        self.assertNoResult(connecting)
        return connecting


class ConnectionTests(ConnectorTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.connection = self.connect()
        self.transport = self.server.transports[0]

    def test_clean(self) -> None:
        """One write, all answers, and it is idle."""
        self.transport.commands.clear()
        self.successResultOf(self.connection.clean())
        self.assertEqual(b"\x1f", self.transport.commands[0])
        self.assertEqual(5, len(self.transport.commands))
        self.assertTrue(self.connection.is_alive())
        self.assertEqual([], self.clock.getDelayedCalls())

    def test_not_clean(self) -> None:
        self.server.role = b"clerk"
        self.failureResultOf(self.connection.clean(), NotClean)

    def test_no_answer(self) -> None:
        """A cleaning has its time."""
        self.transport.is_silent = True
        cleaning = self.connection.clean()
        self.assertNoResult(cleaning)
        self.clock.advance(10)
        self.failureResultOf(cleaning)

    def test_lost_while_cleaning(self) -> None:
        self.transport.is_silent = True
        cleaning = self.connection.clean()
        self.transport.drop()
        self.failureResultOf(cleaning)
        self.failureResultOf(self.connection.clean(), NotClean)

    def test_idle(self) -> None:
        """An idle session that the server ends, or says anything on, is used by nobody."""
        self.transport.send(encode_packet(b"\xff\xbf\x0fidle for too long"))
        self.assertEqual([self.connection], self.lost)
        self.assertFalse(self.connection.is_alive())
        other = self.connect()
        self.server.transports[1].drop()
        self.assertEqual([self.connection, other], self.lost)

    def test_finish(self) -> None:
        """The server gets the end, and the time to come to it."""
        finished = self.connection.finish(5)
        self.assertEqual(b"\x01", self.transport.commands[-1])
        self.transport.send(b"an answer that nobody waits for")
        self.assertNoResult(finished)
        self.transport.drop()
        self.successResultOf(finished)
        self.successResultOf(self.connection.finish(5))

    def test_finish_in_time(self) -> None:
        finished = self.connection.finish(5)
        self.clock.advance(5)
        self.successResultOf(finished)
        self.assertTrue(self.transport.connected)

    def test_close(self) -> None:
        self.connection.close()
        self.connection.close()
        self.assertFalse(self.transport.connected)
        self.assertEqual([], self.lost)
        self.assertEqual([], self.clock.getDelayedCalls())
