"""In which order the gateway starts, reads its files again, and stops."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any, cast

import attrs
from twisted.application.service import Service
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from phpgw.backend.upstream import Upstream, UpstreamService
from phpgw.gateway import Gateway
from phpgw.hub.client import Client
from phpgw.time_slices import Steps, TimeSlices
from tests.support.fake_clocks import ManualReactor, TickingClock
from tests.support.fakes import FakeConnection, identity


class Room(Service):
    """A room of the gateway, which notes what it is told.

    :ivar notes: shared by all.
    :ivar stopped: fires once it has stopped.
    """

    def __init__(self, label: str, notes: list[str]) -> None:
        self.label = label
        self.notes = notes
        self.stopped: Deferred[None] = succeed(None)

    def startService(self) -> None:
        super().startService()
        self.notes.append(f"{self.label} starts")

    def stopService(self) -> Deferred[None]:
        super().stopService()
        self.notes.append(f"{self.label} stops")
        return self.stopped


class FakeFpm(Room):
    """A PHP-FPM of our own.

    :ivar reloaded: fires once another has taken its place.
    """

    is_reloadable = True

    def __init__(self, label: str, notes: list[str]) -> None:
        super().__init__(label, notes)
        self.reloaded: Deferred[bool] = Deferred()

    def stop_within(self, seconds: float) -> Any:
        self.notes.append(f"{self.label} has {seconds:.1f} s")
        return self.stopService()

    def reload(self) -> Deferred[bool]:
        self.notes.append(f"{self.label} reloads")
        return self.reloaded


class FakePools(FakeFpm):
    """Connections that PHP uses."""

    def reload(self) -> Any:
        self.notes.append(f"{self.label} reloads")
        return False


class FakeListener(Room):
    """A port.

    :ivar arrivals: whether somebody has just connected to it.
    :ivar speaks_tls: whether it has a certificate.
    """

    arrivals = False
    speaks_tls = False

    def has_new_connections(self) -> bool:
        return self.arrivals

    def reload(self) -> bool:
        self.notes.append(f"{self.label} reloads")
        return self.speaks_tls


class FakeNotifier(Room):
    """Who tells the service manager."""

    def notify_reloading(self) -> None:
        self.notes.append("reloading")

    def notify_reloaded(self) -> None:
        self.notes.append("reloaded")

    def notify_stopping(self, seconds: float) -> None:
        self.notes.append(f"stopping within {seconds:g} s")


class FakeRelay:
    """PHP, and what waits for it.

    :ivar idle: fires once PHP has nothing to do.
    """

    disconnects_waiting = 3

    def __init__(self, notes: list[str]) -> None:
        self.notes = notes
        self.idle: Deferred[None] = succeed(None)

    def lift_disconnect_limit(self) -> None:
        self.notes.append("farewells hurry")

    def when_idle(self) -> Deferred[None]:
        self.notes.append("PHP is waited for")
        return self.idle


class FakeHold:
    """What keeps events from PHP."""

    def __init__(self, notes: list[str]) -> None:
        self.notes = notes

    def close(self) -> None:
        self.notes.append("events are let go")


class FakeConnections:
    """The WebSocket connections."""

    def __init__(self, notes: list[str]) -> None:
        self._notes = notes
        self._draining = False
        self.registry: list[FakeBrowser] = []
        self._empty: list[Deferred[None]] = []

    @property
    def is_draining(self) -> bool:
        return self._draining

    @is_draining.setter
    def is_draining(self, value: bool) -> None:
        self._notes.append("nobody else comes in")
        self._draining = value

    def __len__(self) -> int:
        return len(self.registry)

    def connections(self) -> list["FakeBrowser"]:
        return [*self.registry]

    def when_empty(self) -> Deferred[None]:
        empty: Deferred[None] = Deferred()
        self._empty.append(empty)
        self.notice()
        return empty

    def notice(self) -> None:
        if not self.registry:
            for each in self._empty:
                each.callback(None)
            self._empty = []


class FakeBrowser(FakeConnection):
    """One of them.

    :ivar answers: whether it answers a close frame.
    """

    def __init__(self, connections: FakeConnections, notes: list[str], answers: bool) -> None:
        super().__init__()
        self.client = Client(identity(f"192.0.2.1:{len(connections.registry)}"), self)
        self._connections = connections
        self._notes = notes
        self._answers = answers
        connections.registry.append(self)

    def close(self, code: int, reason: str, cause: str = "command") -> None:
        if self.closed is None:
            super().close(code, reason)
            self._notes.append(f"a client gets {code}")
        if self._answers:
            self.leave()

    @property
    def is_busy(self) -> bool:
        return self.client.is_busy

    def stop_reading(self) -> None:
        """Which is not noted."""

    def abort(self) -> None:
        self._notes.append("a client is cut off")
        self.leave()

    def leave(self) -> None:
        """Be gone."""
        if self in self._connections.registry:
            self._connections.registry.remove(self)
            self._connections.notice()


class GatewayTestCase(SynchronousTestCase):
    has_token = False

    def setUp(self) -> None:
        self.clock: Any = Clock()
        self.slices = TimeSlices(self.clock)
        self.notes: list[str] = []
        self.public = FakeListener("the public port", self.notes)
        self.private = FakeListener("the private port", self.notes)
        self.fpm = FakeFpm("PHP-FPM", self.notes)
        self.notifier = FakeNotifier("the notifier", self.notes)
        self.connections = FakeConnections(self.notes)
        self.relay = FakeRelay(self.notes)
        self.start()

    def start(self, drain_timeout: float = 10) -> None:
        timers = Room("timers", self.notes)
        self.gateway = Gateway(
            reactor=cast(Any, self.clock),
            public=[cast(Any, self.public)],
            private=[cast(Any, self.private)],
            table=cast(Any, self.connections),
            relay=cast(Any, self.relay),
            hold=cast(Any, FakeHold(self.notes)),
            upstream=Upstream(
                backend=cast(Any, self),
                description="here",
                concurrency=8,
                service=cast(Any, self.fpm),
            ),
            pools=cast(Any, FakePools("the pools", self.notes)),
            slices=self.slices,
            background=timers,
            node=Room("the node", self.notes),
            notifier=cast(Any, self.notifier),
            drain_timeout=drain_timeout,
            hints=["change this"],
            reload_token=lambda: self.has_token,
            log_file=None,
            summary="a gateway",
        )

    def close(self) -> Deferred[None]:
        """What a backend does."""
        self.notes.append("connections to PHP end")
        return succeed(None)

    def browser(self, *, answers: bool = True) -> FakeBrowser:
        return FakeBrowser(self.connections, self.notes, answers)

    def logged(self, do: Callable[[], object], *, level: str) -> list[str]:
        """The lines of this level that this logs."""
        with capturedLogs() as events:
            do()
        return [str(formatEvent(e)) for e in events if e["log_level"].name == level]


class StartTests(GatewayTestCase):
    def test_order(self) -> None:
        """PHP first, and the service manager last."""
        self.gateway.privilegedStartService()
        self.gateway.startService()
        self.assertEqual(["the node starts", "the pools starts", "PHP-FPM starts"], self.notes[:3])
        self.assertEqual("the notifier starts", self.notes[-1])

    def test_hints(self) -> None:
        lines = self.logged(self.gateway.startService, level="warn")
        self.assertEqual(["change this"], lines)

    def test_limit(self) -> None:
        """How many descriptors there are is said."""
        lines = self.logged(self.gateway.privilegedStartService, level="info")
        self.assertIn("file descriptors", lines[0])


class ReloadTests(GatewayTestCase):
    def test_order(self) -> None:
        """The service manager is told once the new PHP-FPM is in its place."""
        reloaded = self.gateway.reload()
        beginning = ["reloading", "the public port reloads", "the private port reloads"]
        self.assertEqual([*beginning, "the pools reloads", "PHP-FPM reloads"], self.notes)
        self.assertNoResult(reloaded)
        self.fpm.reloaded.callback(True)
        self.successResultOf(reloaded)
        self.assertEqual("reloaded", self.notes[-1])

    def test_php_elsewhere(self) -> None:
        self.gateway._upstream = attrs.evolve(self.gateway._upstream, service=UpstreamService())
        self.private.speaks_tls = True
        self.assertEqual([], self.logged(self.gateway.reload, level="info"))
        self.assertEqual("reloaded", self.notes[-1])

    def test_nothing_to_reload(self) -> None:
        """Who sent the signal is told that it did nothing."""
        self.gateway._upstream = attrs.evolve(self.gateway._upstream, service=UpstreamService())
        [line] = self.logged(self.gateway.reload, level="info")
        self.assertIn("nothing to read again", line)
        self.assertEqual("reloaded", self.notes[-1])

    def test_token(self) -> None:
        """A token is read again, too."""
        self.gateway._upstream = attrs.evolve(self.gateway._upstream, service=UpstreamService())
        self.has_token = True
        self.assertEqual([], self.logged(self.gateway.reload, level="info"))

    def test_port_that_fails(self) -> None:
        """The service manager does not wait for ever."""
        self.patch(self.public, "reload", lambda: 1 / 0)
        self.failureResultOf(self.gateway.reload(), ZeroDivisionError)
        self.assertEqual("reloaded", self.notes[-1])


class DrainTests(GatewayTestCase):
    def drain(self) -> Deferred[None]:
        self.gateway.startService()
        self.notes.clear()
        return self.gateway.stopService()

    def test_order(self) -> None:
        self.browser()
        drained = self.drain()
        self.clock.advance(0.1)
        self.successResultOf(drained)
        self.assertEqual(
            [
                "stopping within 10 s",
                "timers stops",
                "events are let go",
                "farewells hurry",
                "the public port stops",
                "a client gets 1001",
                "nobody else comes in",
                "PHP is waited for",
                "the private port stops",
                "connections to PHP end",
                "PHP-FPM has 9.9 s",
                "PHP-FPM stops",
                "the pools has 9.9 s",
                "the pools stops",
                "the node stops",
                "the notifier stops",
            ],
            self.notes,
        )

    def test_port_that_closes_slowly(self) -> None:
        """Nobody is sent away while they could come back to us."""
        self.public.stopped = Deferred()
        self.browser()
        drained = self.drain()
        self.assertNotIn("a client gets 1001", self.notes)
        self.public.stopped.callback(None)
        self.clock.advance(0.1)
        self.successResultOf(drained)

    def test_spread(self) -> None:
        """They go a few at a time, and the gateway ends with the last of them."""
        for _ in range(25):
            self.browser()
        drained = self.drain()
        left = [len(self.connections.registry)]
        while self.connections.registry:
            self.assertNoResult(drained)
            self.clock.advance(0.1)
            left.append(len(self.connections.registry))
        self.assertEqual([25, 15, 5, 0], left)
        self.successResultOf(drained)

    def test_last_messages(self) -> None:
        """A client goes once PHP has answered it."""
        browser = self.browser()
        browser.client.is_busy = True
        drained = self.drain()
        self.clock.pump([0.1] * 50)
        self.assertIsNone(browser.closed)
        browser.client.is_busy = False
        self.clock.advance(0.1)
        self.successResultOf(drained)
        self.assertEqual((1001, "the gateway stops"), browser.closed)

    def test_time_is_over(self) -> None:
        """Whom PHP has not answered by then goes without, and what is lost is said."""
        browser = self.browser()
        browser.client.is_busy = True
        drained = self.drain()
        self.clock.pump([0.1] * 79)
        self.assertIsNone(browser.closed)
        lines = self.logged(lambda: self.clock.advance(0.2), level="warn")
        self.successResultOf(drained)
        self.assertIn("PHP has not answered 1 clients in time (--drain-timeout)", lines[0])

    def push(self, seconds: float) -> Deferred[str]:
        """Something for so many clients that it takes so long."""

        def steps() -> Steps[str]:
            end = self.clock.seconds() + seconds
            while self.clock.seconds() < end:
                yield
            return "done"

        return self.slices.run(steps())

    def wait(self, seconds: float) -> None:
        for _ in range(round(seconds * 10)):
            self.clock.advance(0.1)
            self.clock.turn()

    def use_turns(self) -> None:
        """Have each turn of the reactor by itself."""
        self.clock = ManualReactor()
        self.slices = TimeSlices(self.clock, 1, TickingClock())
        self.start()

    def test_push_under_way(self) -> None:
        """It is finished."""
        self.use_turns()
        push = self.push(5)
        drained = self.drain()
        self.wait(4)
        self.assertNoResult(drained)
        self.wait(2)
        self.assertEqual("done", self.successResultOf(push))
        self.successResultOf(drained)

    def test_push_that_takes_too_long(self) -> None:
        """It fails, and PHP hears of it while it still can."""
        self.use_turns()
        push = self.push(60)
        told = push.addErrback(lambda failure: self.notes.append("the push fails"))
        drained = self.drain()
        lines = self.logged(lambda: self.wait(12), level="warn")
        self.successResultOf(told)
        self.successResultOf(drained)
        self.assertEqual(["1 pushes are done in part alone"], lines)
        self.assertLess(
            self.notes.index("the push fails"), self.notes.index("the private port stops")
        )

    def test_all_within_the_time(self) -> None:
        """However long that is, whoever does not answer: clients, and PHP."""
        for seconds in (0, 0.5, 2, 8, 60):
            self.setUp()
            self.relay.idle = Deferred()
            self.start(drain_timeout=seconds)
            for _ in range(300):
                self.browser(answers=False).client.is_busy = True
            drained = self.drain()
            self.clock.pump([0.01] * int(100 * seconds + 25))
            self.successResultOf(drained)
            self.assertEqual(300, self.notes.count("a client gets 1001"))

    def test_no_time(self) -> None:
        self.start(drain_timeout=0)
        for _ in range(100):
            self.browser()
        drained = self.drain()
        # On a busy machine they are more than one slice of time.
        self.clock.pump([0] * 100)
        self.successResultOf(drained)
        self.assertEqual(100, self.notes.count("a client gets 1001"))

    def test_arrivals(self) -> None:
        """Who was accepted before the port closed gets in, and is sent away then."""
        self.public.arrivals = True
        drained = self.drain()
        self.clock.advance(0.1)
        self.assertFalse(self.connections.is_draining)
        late = self.browser()
        self.public.arrivals = False
        self.clock.pump([0.1] * 2)
        self.successResultOf(drained)
        self.assertEqual((1001, "the gateway stops"), late.closed)

    def test_client_that_does_not_answer(self) -> None:
        """It is waited for, but not for long."""
        self.browser(answers=False)
        drained = self.drain()
        self.clock.pump([0.1, 0.9])
        self.assertNotIn("a client is cut off", self.notes)
        self.clock.advance(0.1)
        self.assertIn("a client is cut off", self.notes)
        self.successResultOf(drained)

    def test_many_that_do_not_answer(self) -> None:
        """They are cut off a few in each turn of the reactor, since it has work with each."""
        self.clock = turns = ManualReactor()
        self.slices = TimeSlices(turns)
        self.start()
        for _ in range(120):
            self.browser(answers=False)
        drained = self.drain()
        counts = [0]
        while self.connections.registry:
            turns.advance(0.1)
            counts.append(self.notes.count("a client is cut off"))
            while turns.is_busy:
                turns.turn()
                counts.append(self.notes.count("a client is cut off"))
        self.assertLessEqual(max(b - a for a, b in pairwise(counts)), 50)
        turns.run()
        self.successResultOf(drained)

    def test_farewells(self) -> None:
        """PHP has the time that is left to hear who has gone."""
        self.relay.idle = Deferred()
        drained = self.drain()
        self.clock.advance(9.9)
        self.assertNoResult(drained)
        lines = self.logged(lambda: self.clock.advance(0.1), level="warn")
        self.successResultOf(drained)
        self.assertEqual(["PHP does not know that 3 clients have left"], lines)
