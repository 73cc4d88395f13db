"""Tests for :mod:`phpgw.pools.mysql.service` and its connections of PHP, from login to end."""

from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionDone
from twisted.internet.error import ConnectionRefusedError as ConnectRefused
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransportWithDisconnection
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from phpgw.pools import lent_connection
from phpgw.pools.mysql import service
from phpgw.pools.mysql.commands import encode_command
from phpgw.pools.mysql.greeting import Greeting
from phpgw.pools.mysql.packets import MySqlPacket, PacketDecoder, encode_packet
from phpgw.pools.mysql.responses import ErrAnswer
from phpgw.settings.pool_text import parse_pool
from tests.support.pooled_mysql import OK, PooledMySql, PooledMySqlTransport
from tests.unit.pools.mysql.test_handshake_response import PDO_LOGIN

_LOGIN = encode_packet(PDO_LOGIN, 1)
_LOGGED_IN = encode_packet(b"\0\0\0\2\0\0\0", 2)
_QUIT = encode_command(0x01)
_UPDATE = encode_command(0x03, b"UPDATE t SET v = v + 1")


class Php(StringTransportWithDisconnection):
    """A connection of PHP."""

    protocol: Any

    def send(self, data: bytes, size: int = 0) -> None:
        """Send bytes, in pieces of a size."""
        for start in range(0, len(data), size or len(data)):
            self.protocol.dataReceived(data[start : start + (size or len(data))])

    def log_in(self) -> None:
        """Log in, and forget what has come."""
        self.send(_LOGIN)
        assert self.value().endswith(_LOGGED_IN), self.value()
        self.clear()

    def packets(self) -> list[MySqlPacket]:
        """Return what has come."""
        return [*PacketDecoder().feed(self.value())]

    def error(self) -> tuple[int, str]:
        """Return the code and the state of the error that has come last."""
        answer = ErrAnswer.parse(self.packets()[-1].payload)
        return answer.code, answer.state

    def vanish(self) -> None:
        """Break off."""
        self.connected = False
        self.protocol.connectionLost(Failure(ConnectionDone()))


class MySqlPoolTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.patch(lent_connection, "is_quiet", lambda transport: transport.connected)
        self.clock = Clock()
        self.server = PooledMySql()
        self.patch(service, "make_endpoint", lambda reactor, config: self.server)
        self.pool = self.make_pool()

    def make_pool(self, **fields: object) -> service.MySqlPool:
        given = {"size": 1, "wait": "3s", "database": "shop", **fields}
        query = "&".join(f"{key}={value}" for key, value in given.items())
        return service.MySqlPool(self.clock, parse_pool(f"db=mysql://app@db?{query}"))

    def connect(self) -> Php:
        """Connect as PHP."""
        php = Php()
        php.protocol = self.pool.front.buildProtocol(None)
        php.protocol.makeConnection(php)
        return php

    def logged_in(self) -> Php:
        php = self.connect()
        php.log_in()
        return php

    @property
    def last(self) -> PooledMySqlTransport:
        """Return the server's end of the connection that was opened last."""
        return self.server.transports[-1]

    def used_by_next(self) -> int:
        """Return the number of the connection that the next PHP uses."""
        php = self.logged_in()
        php.send(encode_command(0x03, b"SELECT 'it is me'"))
        (found,) = (
            each.number
            for each in self.server.transports
            if b"\x03SELECT 'it is me'" in each.commands
        )
        php.vanish()
        return found

    def assert_not_used_again(self) -> None:
        number = self.last.number
        self.assertNotEqual(number, self.used_by_next())
        figures = self.pool.figures
        self.assertEqual(figures.opened, figures.closed.total() + figures.idle + figures.in_use)

    # Login

    def test_greeting(self) -> None:
        """PHP sees the server's version, and the number of no connection."""
        php = self.connect()
        (packet,) = php.packets()
        greeting = Greeting.parse(packet.payload)
        self.assertEqual(b"8.0.1-fake", greeting.version)
        self.assertEqual(0, greeting.connection_id)
        self.assertNotIn(0, greeting.nonce)

    def test_login(self) -> None:
        for size in (0, 1):
            php = self.connect()
            php.clear()
            php.send(_LOGIN, size)
            self.assertEqual(_LOGGED_IN, php.value())
            php.send(_QUIT)
        self.assertEqual(1, len(self.server.transports))

    def test_unreachable(self) -> None:
        """PHP gets an error before the greeting if the server was never there, and else behind."""
        self.server.error = ConnectRefused()
        php = self.connect()
        (packet,) = php.packets()
        self.assertEqual(0, packet.sequence)
        self.assertEqual(2002, ErrAnswer.parse(packet.payload).code)
        self.assertFalse(php.connected)
        self.server.error = None
        php = self.connect()
        self.last.drop()
        self.server.error = ConnectRefused()
        php.send(_LOGIN)
        self.assertEqual((2002, "HY000"), php.error())
        self.assertFalse(php.connected)
        self.flushLoggedErrors()

    def test_refused(self) -> None:
        """PHP gets the server's own error, but not the server's user."""
        self.connect()
        for code, state in ((1045, "28000"), (1049, "42000"), (1040, "08004")):
            self.server.refusal = ErrAnswer(code, state, "'app'@'host'")
            php = self.connect()
            php.send(_LOGIN.replace(b"shop", b"late"))
            self.assertEqual((code, state), php.error())
            self.assertEqual(code == 1045, b"'app'" not in php.value())

    def test_full(self) -> None:
        """After the wait, there are too many connections."""
        self.logged_in()
        php = self.connect()
        php.send(_LOGIN)
        self.clock.advance(2.9)
        self.assertTrue(php.connected)
        self.clock.advance(0.2)
        self.assertEqual((1040, "08004"), php.error())
        self.assertFalse(php.connected)

    def test_gone_while_waiting(self) -> None:
        """PHP that is gone before it has a session gets none."""
        first = self.logged_in()
        php = self.connect()
        php.send(_LOGIN)
        php.vanish()
        first.send(_QUIT)
        self.assertEqual((0, 1), (self.pool.figures.in_use, self.pool.figures.idle))

    def test_compression(self) -> None:
        php = self.connect()
        php.send(_LOGIN.replace(b"\x8d\xa2", b"\xad\xa2"))
        self.assertEqual((1043, "08S01"), php.error())
        self.assertFalse(php.connected)

    def test_no_login(self) -> None:
        """PHP that does not log in is closed."""
        php = self.connect()
        self.clock.advance(9)
        self.assertTrue(php.connected)
        self.clock.advance(2)
        self.assertFalse(php.connected)

    def test_malformed(self) -> None:
        """What is no login ends the connection, and takes no session."""
        for data in (
            b"GET / HTTP/1.1\r\n\r\n",
            encode_packet(b"", 1),
            encode_packet(PDO_LOGIN, 0),
            _LOGIN + _LOGIN,
            _LOGIN + b"\1",
            b"\xff\xff\xff\1",
        ):
            php = self.connect()
            php.send(data)
            self.assertFalse(php.connected, data)
            self.assertEqual(0, self.pool.figures.in_use)

    # Use

    def test_commands(self) -> None:
        """Commands and answers pass, however they arrive."""
        for size in (0, 1, 3):
            php = self.logged_in()
            php.send(_UPDATE, size)
            self.assertEqual(OK, php.value())
            php.send(_QUIT, size)
            self.assertFalse(php.connected)
        self.assertEqual(3, self.last.commands.count(_UPDATE[4:]))
        self.assertNotIn(_QUIT[4:], self.last.commands)

    def test_change_of_user(self) -> None:
        """It is refused, and the session goes on."""
        php = self.logged_in()
        php.send(encode_command(0x11, b"root\0"), 3)
        self.assertEqual((1047, "08S01"), php.error())
        php.clear()
        php.send(_UPDATE)
        self.assertEqual(OK, php.value())
        php.send(_QUIT)
        self.assertNotIn(0x11, [each[0] for each in self.last.commands])
        self.assertEqual(1, self.used_by_next())

    def test_many_changes_of_user(self) -> None:
        """PHP cannot fill the memory with answers that it does not read."""
        for count in (1, 1000):
            php = self.logged_in()
            for _ in range(1000 // count):
                if php.connected:
                    php.send(encode_command(0x11) * count)
            self.assertFalse(php.connected)
            self.assertLess(len(php.value()), 10_000)

    def test_change_of_user_before_answer(self) -> None:
        """Where the answer would be in the wrong place, the connection ends."""
        php = self.logged_in()
        self.last.is_silent = True
        php.send(_UPDATE + encode_command(0x11, b"root\0"))
        self.assertFalse(php.connected)

    def test_server_is_lost(self) -> None:
        """PHP is closed, too, after what the server has said last."""
        php = self.logged_in()
        self.last.send(b"a last word")
        self.last.drop()
        self.assertEqual(b"a last word", php.value())
        self.assertFalse(php.connected)
        self.assertEqual(1, self.pool.figures.closed["lost"])

    # End

    def test_clean_end(self) -> None:
        php = self.logged_in()
        php.send(_UPDATE)
        php.send(_QUIT)
        self.assertEqual(1, self.used_by_next())

    def test_end_without_commands(self) -> None:
        self.logged_in().send(_QUIT)
        self.assertEqual(1, self.used_by_next())

    def test_not_clean(self) -> None:
        """A session that differs from a new one is closed."""
        php = self.logged_in()
        self.server.role = b"clerk"
        php.send(_QUIT)
        self.assertFalse(self.last.connected)
        self.assert_not_used_again()

    def test_several_statements(self) -> None:
        """A session that they were allowed in is closed."""
        php = self.logged_in()
        php.send(encode_command(0x1B, b"\0\0"))
        php.send(_QUIT)
        self.assertNotIn(b"\x1f", self.last.commands)
        self.assert_not_used_again()

    def test_statements_at_login(self) -> None:
        self.server.init_connect = b"SET @x = 1"
        self.logged_in().send(_QUIT)
        self.assert_not_used_again()

    def test_vanished(self) -> None:
        """Without the word of PHP, nothing is clean."""
        php = self.logged_in()
        php.send(_UPDATE)
        php.vanish()
        self.assertFalse(self.last.connected)
        self.assertEqual(1, len(self.server.transports))
        self.assert_not_used_again()

    def test_vanished_within_command(self) -> None:
        """Half a command is not carried out, and there is nothing to kill."""
        php = self.logged_in()
        php.send(_UPDATE[:-1])
        php.vanish()
        self.assertEqual([], [each for each in self.last.commands if each == _UPDATE[4:]])
        self.assertEqual(1, len(self.server.transports))
        self.assert_not_used_again()

    def test_vanished_unanswered(self) -> None:
        """The query is killed over a connection of its own, while this one stays open."""
        php = self.logged_in()
        first = self.last
        first.is_silent = True
        php.send(_UPDATE)
        connected_at_kill: list[bool] = []
        answer = self.server.answer

        def note(command: bytes, database: bytes) -> bytes:
            if command == b"\x03KILL QUERY 1":
                connected_at_kill.append(first.connected)
            return answer(command, database)

        self.patch(self.server, "answer", note)
        php.vanish()
        self.assertEqual([True], connected_at_kill)
        self.assertFalse(first.connected)
        self.assertFalse(self.last.connected)
        self.assert_not_used_again()

    def test_cannot_kill(self) -> None:
        """Without a connection to kill over, the session is closed all the same."""
        php = self.logged_in()
        self.last.is_silent = True
        php.send(_UPDATE)
        self.server.error = ConnectRefused()
        php.vanish()
        self.assertFalse(self.last.connected)
        self.server.error = None
        self.assert_not_used_again()

    def test_another_server(self) -> None:
        """Where the name leads to another server by now, no query is killed: it is another one."""
        self.pool = self.make_pool(size=2)
        sessions = [self.logged_in(), self.logged_in()]
        moved, here = self.server.transports
        moved.peerAddr = IPv4Address("TCP", "192.0.2.7", 3306)
        for php, transport in zip(sessions, (moved, here), strict=True):
            transport.is_silent = True
            php.send(_UPDATE)
            php.vanish()
        self.assertFalse(moved.connected)
        killed = [
            command
            for each in self.server.transports
            for command in each.commands
            if command.startswith(b"\x03KILL")
        ]
        self.assertEqual([b"\x03KILL QUERY 2"], killed)
        self.assertEqual(0, self.pool.figures.in_use)
        self.assertFalse(self.last.connected)

    def test_cannot_kill_in_time(self) -> None:
        """Sessions wait for a server that does not answer once, and not one after another."""
        self.pool = self.make_pool(size=3)
        sessions = [self.logged_in() for _ in range(3)]
        for transport in self.server.transports:
            transport.is_silent = True
        self.server.is_silent = True
        for php in sessions:
            php.send(_UPDATE)
            php.vanish()
        self.assertEqual(3, self.pool.figures.in_use)
        self.clock.advance(5)
        self.assertEqual(0, self.pool.figures.in_use)
        self.assertEqual([False] * 4, [each.connected for each in self.server.transports])

    def test_end_before_answer(self) -> None:
        """Who does not wait for the answer has the command carried out, and nobody gets it."""
        php = self.logged_in()
        first = self.last
        first.is_silent = True
        php.send(_UPDATE + _QUIT)
        self.assertEqual([_UPDATE[4:], _QUIT[4:]], first.commands[-2:])
        self.assertTrue(first.connected)
        first.send(OK)
        first.drop()
        self.assertEqual(1, len(self.server.transports))
        self.assert_not_used_again()

    def test_commands_behind_end(self) -> None:
        php = self.logged_in()
        php.send(_QUIT + _UPDATE)
        self.assertFalse(php.connected)
        self.assertNotIn(_UPDATE[4:], self.last.commands)
        self.assert_not_used_again()

    def test_something_behind_end(self) -> None:
        php = self.logged_in()
        php.send(_QUIT + b"\1")
        self.assertFalse(php.connected)
        self.assert_not_used_again()

    # Stop

    def test_stop(self) -> None:
        """PHP may finish; then it is told that the server shuts down."""
        idle, busy = self.make_two()
        waiting = self.connect()
        waiting.send(_LOGIN)
        stopped = self.pool.stop_within(5)
        self.assertEqual((1053, "08S01"), waiting.error())
        self.assertTrue(busy.connected)
        self.clock.advance(5)
        self.assertEqual((1053, "08S01"), busy.error())
        self.assertEqual(b"", idle.value())
        self.assertEqual((False, False), (idle.connected, busy.connected))
        self.successResultOf(stopped)
        self.assertEqual([], self.clock.getDelayedCalls())

    def make_two(self) -> tuple[Php, Php]:
        """Log in twice; the second one waits for an answer."""
        self.pool = self.make_pool(size=2)
        idle, busy = self.logged_in(), self.logged_in()
        self.last.is_silent = True
        busy.send(_UPDATE)
        return idle, busy
