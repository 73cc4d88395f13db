"""Tests for :mod:`phpgw.pools.redis.php_connection`."""

from typing import Any

from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransportWithDisconnection
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from phpgw.pools import lent_connection
from phpgw.pools.front import Front
from phpgw.pools.pool import Pool, PoolLimits
from phpgw.pools.redis.cleaning import request
from phpgw.pools.redis.connector import RedisConnector
from phpgw.pools.redis.login import RedisLogin
from phpgw.pools.redis.php_connection import RedisConnections, RedisPhpConnection
from tests.support.pooled_redis import PooledRedis, PooledRedisTransport

GET, SET = request(b"GET", b"k"), request(b"SET", b"k", b"v")
MAX_EARLY = 65536


class RedisPhpConnectionTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.patch(lent_connection, "is_quiet", lambda transport: transport.connected)
        self.clock = Clock()
        self.server = PooledRedis()
        self.pool = self.make_pool()
        self.front = Front(self.clock, lambda: RedisPhpConnection(self.pool))

    def make_pool(self, size: int = 1) -> RedisConnections:
        login = RedisLogin(user=b"", password=None, database=0)
        connector = RedisConnector(
            self.clock, self.server, lambda: login, lambda each: pool.discard(each, "lost")
        )
        limits = PoolLimits(size=size, idle=60, wait=3, age=600)
        pool: RedisConnections = Pool(self.clock, "shop", limits, connector)
        return pool

    def php(self, *data: bytes) -> Any:
        """A connection of PHP, which has sent some data; return its transport."""
        connection = self.front.buildProtocol(None)
        transport = StringTransportWithDisconnection()
        transport.protocol = connection
        connection.makeConnection(transport)
        for each in data:
            connection.dataReceived(each)
        return transport

    def leave(self, php: Any) -> None:
        """End PHP's side."""
        php.protocol.connectionLost(Failure(ConnectionDone()))

    @property
    def latest(self) -> PooledRedisTransport:
        return self.server.transports[-1]

    def names(self) -> list[bytes]:
        """The commands of the latest connection since its login."""
        words = [each[0] for each in self.latest.requests]
        return words[words.index(b"ECHO") + 1 :]

    def assert_counts(self, *, cleaned: int = 0, **closed: int) -> None:
        figures = self.pool.figures
        self.assertEqual(cleaned, figures.cleaned)
        self.assertEqual(closed, {key: each for key, each in figures.closed.items() if each})

    def test_both_ways(self) -> None:
        """Requests and replies pass as they are."""
        php = self.php(SET, GET)
        self.assertEqual(b"+OK\r\n+OK\r\n", php.value())
        self.assertEqual([b"SET", b"GET"], self.names())

    def test_nothing_sent(self) -> None:
        """A connection that sends nothing takes nothing."""
        self.leave(self.php())
        self.assertEqual([], self.server.transports)

    def test_cleaned(self) -> None:
        """The next one gets the same connection, after the proof that it is clean."""
        self.leave(self.php(GET))
        self.assertEqual([b"GET", b"RESET", b"ECHO"], self.names())
        self.php(SET)
        self.assertEqual([b"GET", b"RESET", b"ECHO", b"SET"], self.names())
        self.assertEqual(1, len(self.server.transports))
        self.assert_counts(cleaned=1)

    def test_proof_is_new(self) -> None:
        """No two proofs are the same, so that none can be foreseen."""
        for _ in range(20):
            self.leave(self.php(GET))
        proofs = [words[1] for words in self.latest.requests if words[0] == b"ECHO"]
        self.assertEqual(21, len({*proofs}))

    def test_not_answered(self) -> None:
        """While a command runs, its connection is closed: it may wait for long."""
        php = self.php(GET)
        self.latest.is_silent = True
        php.protocol.dataReceived(GET)
        self.leave(php)
        self.assertNotIn(b"RESET", self.names())
        self.assert_counts(unclean=1)

    def test_half_a_request(self) -> None:
        """Nothing is sent that would become a part of it, least of all the password."""
        php = self.php(SET + SET[:-3])
        self.leave(php)
        self.assertEqual([b"SET"], self.names())
        self.assertTrue(self.latest.value().endswith(SET[:-3]))
        self.assert_counts(unclean=1)

    def test_uncleanable(self) -> None:
        """What no cleaning ends is never cleaned, and what may have waited neither."""
        for name in (b"BLPOP", b"MONITOR", b"SCRIPT"):
            self.leave(self.php(request(name, b"k")))
            self.assertEqual([name], self.names())
        self.assert_counts(unclean=3)

    def test_late_reply(self) -> None:
        """A reply to the one before is never taken for one to the cleaning."""
        for late in (b"+OK\r\n", b"+RESET\r\n", b"$5\r\nvalue\r\n", b"\0"):
            php = self.php(GET)
            self.latest.is_silent = True
            self.leave(php)
            proof = self.latest.requests[-1][1]
            self.latest.send(late)
            if self.latest.connected:
                self.latest.send(b"+RESET\r\n$%d\r\n%b\r\n" % (len(proof), proof))
            self.assertFalse(self.latest.connected, late)
        self.assert_counts(unclean=4)

    def test_cleaning_takes_too_long(self) -> None:
        php = self.php(GET)
        self.latest.is_silent = True
        self.leave(php)
        waiting = self.php(GET)
        self.clock.advance(1.1)
        self.assert_counts(unclean=1)
        self.assertEqual(b"+OK\r\n", waiting.value())
        self.assertEqual(2, len(self.server.transports))

    def test_server_cannot_be_cleaned(self) -> None:
        """Before Redis 6.2 there is no RESET: each connection is used once."""
        self.server.replies[b"RESET"] = b"-ERR unknown command\r\n"
        for _ in range(3):
            php = self.php(GET)
            self.assertEqual(b"+OK\r\n", php.value())
            self.leave(php)
        self.assertEqual(3, len(self.server.transports))
        self.assert_counts(used=3)

    def test_full(self) -> None:
        """PHP waits for its turn, and then gets the error of a server that is full."""
        self.php(GET)
        waiting = self.php(GET)
        self.clock.advance(2.9)
        self.assertEqual(b"", waiting.value())
        self.clock.advance(0.2)
        self.assertEqual(b"-ERR max number of clients reached\r\n", waiting.value())
        self.assertFalse(waiting.connected)

    def test_waited(self) -> None:
        """All that PHP has sent meanwhile is passed on."""
        first = self.php(GET)
        waiting = self.php(SET[:5], SET[5:], GET)
        self.leave(first)
        self.assertEqual(b"+OK\r\n+OK\r\n", waiting.value())

    def test_waiting_is_bounded(self) -> None:
        """PHP cannot fill the memory while it waits."""
        self.php(GET)
        waiting = self.php(b"x" * MAX_EARLY)
        self.assertEqual("producing", waiting.producerState)
        waiting.protocol.dataReceived(b"x")
        self.assertEqual("paused", waiting.producerState)

    def test_waited_with_much(self) -> None:
        """PHP that was not read any more while it waited is read once it has a connection."""
        value = b"v" * (2 * MAX_EARLY)
        large = request(b"SET", b"k", value)
        first = self.php(GET)
        waiting = self.php(large[: MAX_EARLY + 1])
        self.assertEqual("paused", waiting.producerState)
        self.leave(first)
        self.assertEqual("producing", waiting.producerState)
        waiting.protocol.dataReceived(large[MAX_EARLY + 1 :])
        self.assertEqual(b"+OK\r\n", waiting.value())

    def test_gone_while_waiting(self) -> None:
        """Who has given up takes no connection, and nothing is asked for him."""
        first = self.php(GET)
        self.leave(self.php(SET))
        self.leave(first)
        self.assertNotIn(b"SET", self.names())
        self.assertEqual(0, self.pool.figures.waiting)

    def test_server_is_down(self) -> None:
        """PHP gets an error of one line, whatever the reason is."""
        self.server.error = OSError("no\r\nroute\x00")
        php = self.php(GET)
        self.assertEqual(
            b"-UNAVAILABLE the server of this pool cannot be used: no\\x0d\\x0aroute\\x00\r\n",
            php.value(),
        )
        self.assertFalse(php.connected)

    def test_login_takes_too_long(self) -> None:
        """A server that says nothing is given up, and its socket is closed."""
        self.server.is_silent = True
        php = self.php(GET)
        self.clock.advance(3.1)
        self.assertIn(b"-UNAVAILABLE the server of this pool", php.value())
        self.assertFalse(self.latest.connected)

    def test_server_closes(self) -> None:
        """What the server has sent before it went arrives, and then PHP's connection is closed."""
        php = self.php(GET)
        self.latest.is_silent = True
        php.protocol.dataReceived(GET)
        self.latest.send(b"$5\r\nha")
        self.latest.drop()
        self.assertEqual(b"+OK\r\n$5\r\nha", php.value())
        self.assertFalse(php.connected)
        self.assert_counts(lost=1)

    def test_idle_connection_ends(self) -> None:
        """A connection that the server closes, or on which it speaks unasked, is not used."""
        for end in (lambda: self.latest.drop(), lambda: self.latest.send(b"+?\r\n")):
            self.leave(self.php(GET))
            end()
            self.assertEqual(0, self.pool.figures.idle)
            self.assertEqual(b"+OK\r\n", self.php(GET).value())
            self.latest.drop()
        self.assertEqual(4, self.pool.figures.closed["lost"])

    def test_stop(self) -> None:
        """The gateway stops: who waits is told; who may read half a reply is not."""
        busy, waiting = self.php(GET), self.php(GET)
        waiting.protocol.stop()
        busy.protocol.stop()
        self.assertEqual(b"+OK\r\n", busy.value())
        self.assertEqual(b"-UNAVAILABLE the gateway stops\r\n", waiting.value())
        self.assertFalse(busy.connected or waiting.connected)
