"""Tests for :mod:`phpgw.bus.handshake`."""

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory
from twisted.trial.unittest import SynchronousTestCase

from phpgw.bus.connection import RedisConnection
from phpgw.bus.handshake import Login, log_in
from phpgw.bus.interface import BusUnavailable
from phpgw.bus.names import BusNames
from tests.support.fake_redis import HELLO, FakeRedis, encoded


class LogInTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.redis = FakeRedis()

    def log_in(self, user: str = "", password: bytes | None = None) -> Deferred[Any]:
        connection = RedisConnection(lambda channel, frame: None)
        self.redis.connect(Factory.forProtocol(lambda: connection))
        login = Login(user, lambda: password)
        return Deferred.fromCoroutine(log_in(connection, login, BusNames.of("phpgw"), "phpgw-1"))

    def refusal(self, **hello: object) -> str:
        self.redis.replies[b"HELLO"] = encoded(HELLO | hello)
        return str(self.failureResultOf(self.log_in(), BusUnavailable).value)

    def test_without_password(self) -> None:
        """Nobody logs in where there is no password."""
        engine = self.successResultOf(self.log_in())
        self.assertEqual([b"HELLO", b"3", b"SETNAME", b"phpgw-1"], self.redis.commands[0])
        self.assertEqual(("redis 7.0.15", b"7 phpgw-1"), (str(engine), engine.connection_label))

    def test_password(self) -> None:
        """The password is for the default user, or for the one that the URL names."""
        self.successResultOf(self.log_in(password=b"s"))
        self.assertEqual([b"AUTH", b"default", b"s"], self.redis.commands[0][2:5])
        self.redis.commands.clear()
        self.successResultOf(self.log_in("app", b"s"))
        self.assertEqual([b"AUTH", b"app", b"s"], self.redis.commands[0][2:5])

    def test_unusable(self) -> None:
        """Engines that cannot be used are told apart."""
        self.assertIn("6.2", self.refusal(version="6.0.16"))
        self.assertIn("Sentinel", self.refusal(mode="sentinel"))
        self.assertIn("Cluster", self.refusal(mode="cluster"))
        self.assertIn("replica", self.refusal(role="replica"))

    def test_usable(self) -> None:
        """Redis from 6.2 on, Valkey, and engines that say little are used."""
        for hello in (HELLO | {"version": "6.2.0"}, {"server": "valkey", "version": "8.0"}, {}):
            self.redis.replies[b"HELLO"] = encoded(hello)
            self.successResultOf(self.log_in())

    def test_refused(self) -> None:
        """Errors say what helps."""
        for error, expected in (
            (b"-NOAUTH HELLO must be called", "--bus-password-file"),
            (b"-ERR unknown command 'HELLO'", "6.2"),
            (b"-WRONGPASS invalid", "WRONGPASS"),
            (b"+OK", "RESP3"),
        ):
            self.redis.replies[b"HELLO"] = error + b"\r\n"
            failure = self.failureResultOf(self.log_in(), BusUnavailable)
            self.assertIn(expected, str(failure.value))

    def test_loading(self) -> None:
        """An engine that loads its data is no use yet."""
        self.redis.replies[b"EXISTS"] = b"-LOADING\r\n"
        self.failureResultOf(self.log_in(), BusUnavailable)
