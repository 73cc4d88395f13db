"""Tests for :mod:`phpgw.bus.sentinel`."""

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from phpgw.bus.handshake import Login
from phpgw.bus.interface import BusUnavailable
from phpgw.bus.sentinel import SentinelEndpoint
from phpgw.settings.host_and_port import HostAndPort
from tests.support.fake_redis import FakeRedis, encoded

_ONE, _TWO = HostAndPort("one", 26379), HostAndPort("two", 26379)


def facts(host: str, epoch: int) -> bytes:
    """What a Sentinel replies about a master, in RESP2."""
    return encoded(["name", "main", "ip", host, "port", "6379", "config-epoch", str(epoch)])


class FindTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.sentinels = {_ONE: FakeRedis(), _TWO: FakeRedis()}
        self.password: bytes | None = None
        self.endpoint = SentinelEndpoint(
            self.clock,
            [_ONE, _TWO],
            "main",
            Login("app", lambda: self.password),
            self.sentinels.__getitem__,
        )
        for number, sentinel in enumerate(self.sentinels.values()):
            sentinel.replies[b"SENTINEL"] = facts(f"master{number}", number)

    def find(self) -> Deferred[Any]:
        return Deferred.fromCoroutine(self.endpoint.find())

    def found(self) -> str:
        return str(self.successResultOf(self.find()).host)

    def test_newest(self) -> None:
        """The Sentinel is believed that knows of the last failover, whichever it is."""
        self.assertEqual("master1", self.found())
        self.sentinels[_ONE].replies[b"SENTINEL"] = facts("master0", 7)
        self.assertEqual("master0", self.found())
        [*_, question] = self.sentinels[_TWO].commands
        self.assertEqual([b"SENTINEL", b"MASTER", b"main"], question)

    def test_some_are_away(self) -> None:
        """One Sentinel is enough; one that does not reply is waited for a second."""
        self.sentinels[_TWO].is_down = True
        self.assertEqual("master0", self.found())
        self.sentinels[_TWO].is_down, self.sentinels[_TWO].is_silent = False, True
        finding = self.find()
        self.clock.advance(0.9)
        self.assertNoResult(finding)
        self.clock.advance(0.2)
        self.assertEqual("master0", self.successResultOf(finding).host)

    def test_none_knows(self) -> None:
        """If none knows the master, the reason is told, once for each."""
        for sentinel in self.sentinels.values():
            sentinel.replies[b"SENTINEL"] = b"-ERR No such master with that name\r\n"
        failure = self.failureResultOf(self.find(), BusUnavailable)
        self.assertEqual(
            "no Sentinel names the master: the engine replied: ERR No such master with that name",
            str(failure.value),
        )

    def test_odd_reply(self) -> None:
        """A reply that is none of a Sentinel is no master."""
        for reply in (b"+OK\r\n", encoded([]), encoded(["ip", "x", "port", "y"])):
            for sentinel in self.sentinels.values():
                sentinel.replies[b"SENTINEL"] = reply
            failure = self.failureResultOf(self.find(), BusUnavailable)
            self.assertIn("it does not reply like a Sentinel", str(failure.value))

    def test_password(self) -> None:
        """The password is offered, and a Sentinel that has none is no error."""
        self.password = b"secret"
        self.sentinels[_ONE].replies[b"AUTH"] = b"-ERR AUTH called without any password\r\n"
        self.sentinels[_TWO].replies[b"AUTH"] = b"+OK\r\n"
        self.assertEqual("master1", self.found())
        self.assertEqual([b"AUTH", b"app", b"secret"], self.sentinels[_TWO].commands[0])

    def test_nothing_is_left(self) -> None:
        """Each question closes its connections."""
        self.found()
        for sentinel in self.sentinels.values():
            self.assertTrue(all(each.disconnecting for each in sentinel.transports))
        self.assertEqual([], self.clock.getDelayedCalls())
