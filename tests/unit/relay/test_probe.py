"""Tests for :mod:`phpgw.relay.probe`."""

from twisted.internet.defer import Deferred
from twisted.logger import capturedLogs, formatEvent

from phpgw.backend.errors import BackendUnreachable
from phpgw.backend.event import Event
from phpgw.relay.probe import Prober
from tests.support.fakes import identity
from tests.unit.relay.test_retry import PhpTestCase


class ProberTests(PhpTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.probes: list[Deferred[None]] = []
        self.prober = Prober(self.clock, self.probe, self.php, self.metrics)
        self.addCleanup(self.prober.stopService)

    def probe(self) -> Deferred[None]:
        self.probes.append(Deferred())
        return self.probes[-1]

    def fail_probe(self, problem: str = "no such socket") -> list[str]:
        """What is logged when the probe that is under way fails."""
        with capturedLogs() as events:
            self.probes[-1].errback(BackendUnreachable(problem))
        return [formatEvent(event) for event in events]

    def wait(self, seconds: int) -> None:
        self.clock.pump([1.0] * seconds)

    def ask(self) -> None:
        """An event."""
        self.php.ask(Event("server", b"x", identity())).addErrback(lambda _: None)

    def fail_event(self) -> None:
        """One that finds nobody, for as long as it is tried."""
        self.ask()
        for delay in (0.1, 0.2, 0.4, 0.8, 0):
            self.backend.asked[-1].refuse()
            self.clock.advance(delay)

    def test_answered_probe(self) -> None:
        self.prober.startService()
        self.assertEqual("PHP has not answered yet", self.prober.obstacle())
        self.probes[0].callback(None)
        self.assertIsNone(self.prober.obstacle())
        self.wait(14)
        self.assertEqual(1, len(self.probes))

    def test_php_goes_away_while_nobody_asks_it(self) -> None:
        self.prober.startService()
        self.probes[0].callback(None)
        for _ in range(3):
            self.assertIsNone(self.prober.obstacle())
            self.wait(15)
            self.probes[-1].callback(None)
        self.assertEqual(4, len(self.probes))
        self.assertIsNone(self.prober.obstacle())
        self.wait(15)
        self.assertEqual(["PHP cannot be reached: gone"], self.fail_probe("gone"))
        self.assertEqual("PHP cannot be reached: gone", self.prober.obstacle())
        self.wait(1)
        with capturedLogs() as events:
            self.probes[-1].callback(None)
        self.assertEqual(["PHP can be reached now"], list(map(formatEvent, events)))
        self.assertIsNone(self.prober.obstacle())

    def test_not_while_nobody_wants_to_know(self) -> None:
        """A probe over HTTP may run a script."""
        self.prober.startService()
        self.probes[0].callback(None)
        self.wait(1000)
        self.assertEqual(1, len(self.probes))
        for _ in range(10):
            self.assertIsNone(self.prober.obstacle())
        self.wait(2)
        self.assertEqual(2, len(self.probes))
        self.probes[1].callback(None)
        self.wait(1000)
        self.assertEqual(2, len(self.probes))

    def test_not_while_others_ask_it(self) -> None:
        self.prober.startService()
        self.probes[0].callback(None)
        for _ in range(10):
            self.wait(10)
            self.ask()
            self.backend.asked[-1].reply(b"")
        self.assertEqual(1, len(self.probes))

    def test_again_and_again(self) -> None:
        """Seldom; each reason is logged once, and the end of it."""
        self.prober.startService()
        lines = self.fail_probe()
        self.assertEqual(["PHP cannot be reached: no such socket"], lines)
        self.assertEqual("PHP cannot be reached: no such socket", self.prober.obstacle())
        for seconds in (1, 2, 4, 5, 5):
            before = len(self.probes)
            self.wait(seconds - 1)
            self.assertEqual(before, len(self.probes))
            self.wait(1)
            self.assertEqual(before + 1, len(self.probes))
            self.assertEqual([], self.fail_probe())
        self.wait(5)
        self.assertEqual(["PHP cannot be reached: permission"], self.fail_probe("permission"))
        self.wait(5)
        with capturedLogs() as events:
            self.probes[-1].callback(None)
        self.assertEqual(["PHP can be reached now"], list(map(formatEvent, events)))
        self.assertIsNone(self.prober.obstacle())

    def test_one_at_a_time(self) -> None:
        self.prober.startService()
        self.wait(30)
        self.assertEqual(1, len(self.probes))

    def test_answered_event(self) -> None:
        self.prober.startService()
        self.fail_probe()
        self.ask()
        self.backend.asked[-1].reply(b"")
        self.assertIsNone(self.prober.obstacle())
        self.wait(14)
        self.assertEqual(1, len(self.probes))

    def test_not_while_events_tell(self) -> None:
        self.prober.startService()
        self.fail_probe()
        self.ask()
        self.wait(30)
        self.assertEqual(1, len(self.probes))

    def test_php_goes_away(self) -> None:
        """With nobody there to ask it, it would never be known to be back."""
        self.prober.startService()
        self.probes[0].callback(None)
        for _ in range(3):
            self.fail_event()
        self.assertTrue(self.php.is_away)
        self.assertIn("PHP does not answer", self.prober.obstacle() or "")
        self.wait(2)
        self.assertEqual(2, len(self.probes))
        self.fail_probe("gone")
        self.assertIn("PHP", self.prober.obstacle() or "")
        self.wait(30)
        self.assertEqual("PHP cannot be reached: gone", self.prober.obstacle())
        self.probes[-1].callback(None)
        self.assertIsNone(self.prober.obstacle())

    def test_stopped(self) -> None:
        self.prober.startService()
        self.prober.stopService()
        self.wait(10)
        self.assertEqual((1, []), (len(self.probes), self.clock.getDelayedCalls()))
