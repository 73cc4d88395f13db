"""Tests for :mod:`phpgw.bus.link`, :mod:`phpgw.bus.probe` and :mod:`phpgw.bus.redis_bus`."""

from typing import Any

from twisted.internet.error import DNSLookupError
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from phpgw.bus.connect_errors import explain
from phpgw.bus.handshake import Login
from phpgw.bus.interface import BusUnavailable, LuaScript, ReplicasAway
from phpgw.bus.link import EnginePlace
from phpgw.bus.names import BusNames
from phpgw.bus.redis_bus import RedisBus
from tests.support.fake_redis import FakeRedis, encoded, push


class Recorder:
    """An observer that records what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[Any, ...]] = []

    def connected(self) -> None:
        self.told.append(("connected",))

    def lost(self, reason: str) -> None:
        self.told.append(("lost", reason))

    def received(self, channel: bytes, frame: bytes) -> None:
        self.told.append((channel, frame))


class FakeEngineTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.redis = FakeRedis()
        self.passwords = [b"first", b"second"]
        login = Login("", lambda: self.passwords[0])
        place = EnginePlace(self.redis, "redis://test", login)
        self.bus = RedisBus(self.clock, place, BusNames.of("phpgw"))
        self.recorder = Recorder()
        self.bus.observers.append(self.recorder)

    def start(self) -> None:
        self.bus.service.startService()

    def pass_seconds(self, seconds: float) -> None:
        self.clock.pump([0.1] * round(seconds * 10))

    @property
    def last_reason(self) -> str:
        kind, reason = self.recorder.told[-1]
        self.assertEqual("lost", kind)
        return str(reason)


class LinkTests(FakeEngineTestCase):
    def test_connects(self) -> None:
        """It connects, logs in, subscribes, and then tells the observers."""
        self.assertIn("not asked yet", self.bus.problem)
        self.failureResultOf(self.bus.subscribe(b"all"), BusUnavailable)
        self.start()
        self.assertEqual([("connected",)], self.recorder.told)
        self.assertEqual("", self.bus.problem)
        self.assertIn([b"SUBSCRIBE", b"phpgw:1:all"], self.redis.commands)

    def test_retries(self) -> None:
        """It tries again and again, after longer and longer times, of two seconds at most."""
        self.redis.is_down = True
        self.start()
        self.pass_seconds(60)
        self.assertRegex(self.bus.problem, "the bus is away for 60 s: Connection.* refused")
        self.assertNotIn("redis://test", self.bus.problem)
        self.assertEqual([], self.recorder.told)
        self.redis.is_down = False
        self.pass_seconds(2.1)
        self.assertEqual([("connected",)], self.recorder.told)

    def test_nothing_for_strangers(self) -> None:
        """What strangers may read at /readyz has no name of a host or a file."""
        error = DNSLookupError("no address is known for redis.internal")
        self.assertEqual("its host name has no address", explain(error))

    def test_password_is_read_anew(self) -> None:
        """Each attempt takes the password as it is then."""
        self.redis.replies[b"HELLO"] = b"-WRONGPASS\r\n"
        self.start()
        self.passwords.pop(0)
        self.pass_seconds(1)
        self.assertEqual(b"first", self.redis.commands[0][4])
        self.assertEqual(b"second", self.redis.commands[-1][4])

    def test_silent_at_login(self) -> None:
        """An engine that accepts connections and replies to nothing is left after 3 seconds."""
        self.redis.is_silent = True
        self.start()
        self.pass_seconds(3.1)
        self.assertIn("nothing answers", self.bus.problem)
        self.redis.is_silent = False
        self.pass_seconds(4)
        self.assertEqual([("connected",)], self.recorder.told)

    def test_silent(self) -> None:
        """An engine that replies no more is left, and what waits fails."""
        self.start()
        self.redis.is_silent = True
        asked = self.bus.publish(b"all", b"hi")
        self.pass_seconds(2.9)
        self.assertNoResult(asked)
        self.pass_seconds(1)
        self.assertTrue(self.failureResultOf(asked, BusUnavailable).value.may_be_done)
        self.assertIn("did not reply", self.last_reason)

    def test_slow_but_alive(self) -> None:
        """An engine that replies to one request after the other is kept, however many wait."""
        self.start()
        self.redis.is_silent = True
        asked = [self.bus.call(b"GET", b"a") for _ in range(100)]
        for _ in range(80):
            self.redis.send(encoded(1))
            self.pass_seconds(0.4)
        self.assertEqual([("connected",)], self.recorder.told)
        self.assertNoResult(asked[-1])
        asked[-1].addErrback(lambda _: None)

    def test_deaf(self) -> None:
        """A connection on which nothing comes back is left, though the engine replies."""
        self.start()
        self.redis.is_deaf = True
        self.pass_seconds(5)
        self.assertIn(("lost", "what is published does not come back"), self.recorder.told)

    def test_subscriptions_lost(self) -> None:
        """A connection without its subscriptions is left at once."""
        self.start()
        self.redis.forget()
        self.pass_seconds(1.1)
        self.assertIn(("lost", "the engine has lost the subscriptions"), self.recorder.told)

    def test_probes_refused(self) -> None:
        """A connection that may not publish is left; one that may not write is a problem."""
        self.start()
        self.redis.replies[b"SET"] = b"-OOM too much\r\n"
        self.pass_seconds(1.1)
        self.assertIn("takes no data: the engine replied: OOM", self.bus.problem)
        self.redis.replies[b"SET"] = b"+OK\r\n"
        self.pass_seconds(1)
        self.assertEqual("", self.bus.problem)
        self.redis.replies[b"PUBLISH"] = b"-NOPERM\r\n"
        self.pass_seconds(1)
        self.assertIn("NOPERM", self.last_reason)

    def test_few_probes(self) -> None:
        """There is one probe in a second."""
        self.start()
        self.redis.commands.clear()
        self.pass_seconds(10.1)
        self.assertEqual(10, self.redis.names().count(b"PUBLISH"))

    def test_stop(self) -> None:
        """A stop closes the connection after the last request, and is no loss."""
        self.start()
        self.successResultOf(self.bus.service.stopService())
        self.assertEqual(b"PING", self.redis.names()[-1])
        self.assertTrue(self.redis.transports[-1].disconnecting)
        self.assertEqual([("connected",)], self.recorder.told)
        self.assertEqual([], self.clock.getDelayedCalls())

    def test_stop_while_silent(self) -> None:
        """A stop waits no longer than a second for the engine."""
        self.start()
        self.redis.is_silent = True
        stopping = self.bus.service.stopService()
        self.pass_seconds(1.1)
        self.successResultOf(stopping)
        self.assertEqual([], self.clock.getDelayedCalls())

    def test_stop_while_away(self) -> None:
        """A stop ends an attempt to connect, or the wait for the next."""
        self.redis.is_down = True
        self.start()
        self.successResultOf(self.bus.service.stopService())
        self.assertEqual([], self.clock.getDelayedCalls())
        self.redis.is_down, self.redis.is_silent = False, True
        self.start()
        self.successResultOf(self.bus.service.stopService())
        self.assertEqual([], self.clock.getDelayedCalls())

    def test_starts_again(self) -> None:
        """It can be started again after a stop."""
        self.start()
        self.successResultOf(self.bus.service.stopService())
        self.start()
        self.assertEqual("", self.bus.problem)


class RedisBusTests(FakeEngineTestCase):
    def test_frames(self) -> None:
        """Frames come with the channel's name without prefix; those of the probe do not come."""
        self.start()
        self.successResultOf(self.bus.subscribe(b"u:7"))
        self.assertEqual(1, self.successResultOf(self.bus.publish(b"u:7", b"hi")))
        self.assertEqual([("connected",), (b"u:7", b"hi")], self.recorder.told)

    def test_renewed(self) -> None:
        """After a loss, exactly the channels are subscribed to that are wanted then.

        The oldest one comes last: who finds it in force finds all.
        """
        self.start()
        for number in range(2500):
            self.bus.subscribe(b"%d" % number)
        self.redis.drop()
        self.bus.unsubscribe(b"0")
        self.failureResultOf(self.bus.subscribe(b"late"), BusUnavailable)
        self.redis.commands.clear()
        self.pass_seconds(0.2)
        again = [words[1:] for words in self.redis.commands if words[0] == b"SUBSCRIBE"]
        channels = [name for words in again[1:] for name in words]
        self.assertLessEqual(max(map(len, again)), 1000)
        self.assertEqual(2500, len(channels))
        self.assertIn(b"phpgw:1:late", channels)
        self.assertNotIn(b"phpgw:1:0", channels)
        self.assertEqual(b"phpgw:1:1", channels[-1])

    def test_changed_meanwhile(self) -> None:
        """What changes while subscriptions are renewed is in force in the end."""
        self.failureResultOf(self.bus.subscribe(b"old"), BusUnavailable)
        self.redis.is_silent = True
        self.start()
        self.redis.is_silent = False
        self.redis.replies[b"SUBSCRIBE"] = None
        self.redis.send(self.redis.replies[b"HELLO"])  # type: ignore[arg-type]
        self.redis.send(push("subscribe", "probe", 1))
        self.redis.replies[b"PUBLISH"] = encoded(1)
        self.redis.replies[b"SUBSCRIBE"] = lambda words: push("subscribe", words[1], 1)
        self.bus.unsubscribe(b"old")
        self.failureResultOf(self.bus.subscribe(b"new"), BusUnavailable)
        self.redis.send(push("subscribe", "old", 1))
        self.assertEqual([("connected",)], self.recorder.told)
        self.assertIn([b"SUBSCRIBE", b"phpgw:1:new"], self.redis.commands)
        self.assertIn([b"UNSUBSCRIBE", b"phpgw:1:old"], self.redis.commands)

    def test_unsubscribe(self) -> None:
        """Only what was subscribed to is ended."""
        self.start()
        self.bus.unsubscribe(b"never")
        self.assertNotIn(b"UNSUBSCRIBE", self.redis.names())
        self.successResultOf(self.bus.subscribe(b"a"))
        self.bus.unsubscribe(b"a")
        self.assertEqual(0, self.successResultOf(self.bus.publish(b"a", b"")))

    def test_scripts(self) -> None:
        """The source is sent once for each connection, and again if the engine has forgotten it."""
        script = LuaScript("count", "return 1")
        self.redis.replies |= {b"EVAL": encoded(1), b"EVALSHA": encoded(1)}
        self.start()
        self.redis.commands.clear()
        for _ in range(2):
            self.successResultOf(self.bus.run(script, [b"a"], [5, b"x"]))
        rest = [b"1", b"{phpgw:1}:a", b"5", b"x"]
        self.assertEqual(
            [[b"EVAL", b"return 1", *rest], [b"EVALSHA", script.digest, *rest]], self.redis.commands
        )
        self.redis.replies[b"EVALSHA"] = b"-NOSCRIPT\r\n"
        self.successResultOf(self.bus.run(script, []))
        self.assertEqual([b"EVALSHA", b"EVAL"], self.redis.names()[-2:])
        self.redis.replies[b"EVALSHA"] = b"-ERR wrong\r\n"
        failure = self.failureResultOf(self.bus.run(script, []), BusUnavailable)
        self.assertEqual("count: the engine replied: ERR wrong", str(failure.value))
        for reply in (b"-NOREPLICAS Not enough\r\n", b"-ERR Error running script: -NOREPLICAS\r\n"):
            self.redis.replies[b"EVALSHA"] = reply
            self.failureResultOf(self.bus.run(script, []), ReplicasAway)
        self.redis.drop()
        self.pass_seconds(0.2)
        self.successResultOf(self.bus.run(script, []))

    def test_commands(self) -> None:
        """The first argument of a command is its key."""
        self.start()
        self.redis.replies |= {b"TIME": encoded([1, 2]), b"HSET": encoded(1)}
        self.assertEqual([1, 2], self.successResultOf(self.bus.call(b"TIME")))
        self.successResultOf(self.bus.call(b"HSET", b"left:1", b"f", 7))
        self.assertEqual([b"HSET", b"{phpgw:1}:left:1", b"f", b"7"], self.redis.commands[-1])

    def test_subscribers(self) -> None:
        """The numbers come in the order of the channels."""
        self.start()
        self.redis.replies[b"PUBSUB"] = encoded(["phpgw:1:a", 2, "phpgw:1:b", 0])
        self.assertEqual([2, 0], self.successResultOf(self.bus.subscribers([b"a", b"b"])))
        self.assertEqual(b"phpgw:1:b", self.redis.commands[-1][3])

    def test_broken_observer(self) -> None:
        """The bus lives on if an observer fails."""

        class Broken:
            def connected(self) -> None:
                raise ZeroDivisionError

            def lost(self, reason: str) -> None:
                raise ZeroDivisionError

            def received(self, channel: bytes, frame: bytes) -> None:
                raise ZeroDivisionError

        self.bus.observers.insert(0, Broken())
        self.start()
        self.redis.drop()
        self.pass_seconds(0.2)
        self.assertEqual(3, len(self.flushLoggedErrors(ZeroDivisionError)))
        self.assertEqual(3, len(self.recorder.told))
        self.assertEqual("", self.bus.problem)
