"""Tests for :mod:`phpgw.relay.event_report`: each event is reported once, however it ends."""

from twisted.logger import capturedLogs

from phpgw.backend.errors import BackendError, BackendTimeout
from phpgw.relay.breaker import BreakerPolicy
from phpgw.relay.event_report import EventReport
from tests.support.fake_backend import COMMANDS, AskedEvent, FakeBackendTestCase
from tests.support.fakes import fake_client


class ReportTests(FakeBackendTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.observe()

    def observe(self, **changes: object) -> None:
        """Set up anew with these changes of policy, and observe."""
        self.reports: list[EventReport] = []
        self.use(**changes)
        self.relay.observers.add(self.reports.append)

    def counts(self, type_: str = "server") -> dict[str, int]:
        """How many events of a type have ended, by outcome."""
        return {name: n for name, n in self.metrics.events[type_].outcomes.items() if n}

    def seconds(self, type_: str = "server") -> tuple[float, float, float]:
        """The sums of the durations: waiting, PHP, in all."""
        events = self.metrics.events[type_]
        return events.waiting.total, events.php.total, events.whole.total

    def test_message(self) -> None:
        """All of it is there: who, what, how long, and PHP's reply."""
        client, _ = self.client("a")
        self.say(client, b"hello")
        self.clock.advance(2)
        asked = self.backend.asked[0]
        asked.reply(b"reply", status=201)
        [report] = self.reports
        self.assertIs(report.event, asked.event)
        self.assertEqual((report.event.message, report.event.identity.client_id), (b"hello", "a"))
        self.assertEqual((report.outcome, report.status), ("replied", 201))
        self.assertEqual((report.waited, report.php_seconds, report.at), (0, 2, 2))
        self.assertEqual((report.reply, report.problem), (b"reply", ""))
        self.assertEqual((self.counts(), self.seconds()), ({"replied": 1}, (0, 2, 2)))

    def test_waiting(self) -> None:
        """A message has waited since it was received, also for those before it."""
        self.observe(concurrency=1)
        client, _ = self.client("a")
        self.say(client, b"1", b"2")
        self.clock.advance(1)
        self.backend.asked[0].reply()
        self.clock.advance(2)
        self.backend.asked[1].reply()
        self.assertEqual(
            [(each.waited, each.php_seconds) for each in self.reports], [(0, 1), (1, 2)]
        )
        self.assertEqual(self.seconds(), (1, 3, 4))

    def test_failed(self) -> None:
        """There is PHP's status, if it has replied at all, and the text that the log has."""
        client, _ = self.client("a")
        self.say(client, b"1", b"2")
        with capturedLogs() as events:
            self.backend.asked[0].reply(b"Oops", status=500)
            self.backend.asked[1].answer.errback(BackendTimeout("no reply in time"))
        self.assertEqual(
            [(each.outcome, each.status) for each in self.reports],
            [("failed", 500), ("failed", None)],
        )
        self.assertEqual(
            [each.problem for each in self.reports], [each["reason"] for each in events]
        )
        self.assertEqual(self.reports[0].reply, b"Oops")
        self.assertEqual(self.counts(), {"failed": 2})

    def test_commands_that_run_late(self) -> None:
        """An event ends when its commands have run; that is no time of PHP's."""
        self.assertEqual(self.reports, [])
        client, _ = self.client("a")
        self.say(client, b"1")
        self.clock.advance(1)
        body = b'[{"op": "send", "message": "%b"}]' % (b"x" * 100_000)
        self.backend.asked[0].reply(body, media_type=COMMANDS)
        self.clock.advance(1)
        [report] = self.reports
        self.assertEqual((report.outcome, report.php_seconds), ("replied", 1))

    def test_withdrawn(self) -> None:
        """A client that leaves needs no reply."""
        client, _ = self.client("a")
        self.say(client, b"1")
        self.backend.asked[0].is_queued = True
        self.leave(client)
        self.assertEqual(self.reports[0].outcome, "withdrawn")
        self.assertEqual(self.counts(), {"withdrawn": 1})

    def test_refused_by_breaker(self) -> None:
        """PHP was not asked, so it has taken no time."""
        self.observe(breaker=BreakerPolicy(failures=1))
        self.backend.at_once = AskedEvent.refuse
        client, _ = self.client("a")
        self.say(client, b"1", b"2")
        self.clock.pump([0.1, 0.2, 0.4, 0.8])
        self.assertEqual([each.outcome for each in self.reports], ["failed", "refused"])
        self.assertIsNone(self.reports[1].php_seconds)
        self.assertEqual(self.counts(), {"failed": 1, "refused": 1})

    def test_refused_by_overload(self) -> None:
        self.observe(concurrency=1, max_waiting=1)
        for client_id in ("a", "b", "c"):
            self.say(self.client(client_id)[0], client_id.encode())
        [report] = self.reports
        self.assertEqual((report.event.message, report.outcome), (b"c", "refused"))
        self.assertIn("--max-waiting", report.problem)

    def test_connect(self) -> None:
        """PHP's decision is a reply, whatever it is; a page instead of one is a failure."""
        ends: list[str] = []
        for status in (204, 403, 500):

            def decide(reply: object, status: int = status) -> int:
                if status == 500:
                    raise BackendError("a page")
                return status

            client, _ = fake_client(str(status))
            decided = self.ask_about(client, decide)
            decided.addErrback(lambda failure: ends.append(failure.getErrorMessage()))
            self.clock.advance(1)
            self.backend.asked[-1].reply(status=status)
        self.assertEqual(
            [(each.event.type, each.outcome, each.status) for each in self.reports],
            [("connect", "replied", 204), ("connect", "replied", 403), ("connect", "failed", 500)],
        )
        self.assertEqual(ends, ["a page"])
        self.assertEqual(self.seconds("connect"), (0, 3, 3))

    def test_connect_of_one_that_has_left(self) -> None:
        self.observe(concurrency=1)
        self.say(self.client("a")[0], b"1")
        client, _ = fake_client("b")
        decided = self.ask_about(client)
        self.relay.disconnect(client, 1006, "")
        self.failureResultOf(decided)
        self.assertEqual(
            [(each.event.type, each.outcome) for each in self.reports], [("connect", "withdrawn")]
        )

    def test_disconnect(self) -> None:
        """It is one event, however often it is sent: it has waited for PHP, and kept its id."""
        self.backend.at_once = AskedEvent.refuse
        client, _ = self.client("a")
        self.leave(client)
        self.clock.pump([0.1, 0.2, 0.4, 0.8])
        self.backend.at_once = AskedEvent.reply
        self.clock.advance(2)
        [report] = self.reports
        self.assertEqual((report.event.type, report.outcome), ("disconnect", "replied"))
        self.assertEqual((report.waited, report.php_seconds), (3.5, 0))
        self.assertEqual({asked.event.id for asked in self.backend.asked}, {report.event_id})

    def test_disconnect_that_may_be_lost(self) -> None:
        self.leave(self.client("a")[0])
        self.backend.asked[0].break_off()
        self.assertEqual(self.counts("disconnect"), {"failed": 1})

    def test_timer(self) -> None:
        for end in (AskedEvent.reply, AskedEvent.break_off):
            self.relay.timers.trigger("clock")
            self.clock.advance(1)
            end(self.backend.asked[-1])
        self.assertEqual(
            [(each.event.message, each.outcome) for each in self.reports],
            [(b"clock", "replied"), (b"clock", "failed")],
        )
        self.assertEqual(self.seconds("timer"), (0, 2, 2))

    def test_ids(self) -> None:
        """Each event has an id of its own."""
        client, _ = self.client("a")
        self.backend.at_once = AskedEvent.reply
        self.say(client, *[b""] * 100)
        self.assertEqual(len({each.event_id for each in self.reports}), 100)

    def test_observer_that_fails(self) -> None:
        """It harms neither the client nor other observers, and can be removed."""
        client, connection = self.client("a")
        self.backend.at_once = lambda asked: asked.reply(b"reply")
        more: list[EventReport] = []

        def fail(report: EventReport) -> None:
            raise ValueError("broken")

        self.relay.observers.add(fail)
        self.relay.observers.add(more.append)
        self.say(client, b"1")
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
        self.relay.observers.remove(fail)
        self.say(client, b"2")
        self.assertEqual((len(self.reports), len(more), len(connection.sent)), (2, 2, 2))

    def test_observer_that_comes_and_goes_meanwhile(self) -> None:
        """Observers may be added and removed by one of them."""
        client, _ = self.client("a")
        self.backend.at_once = AskedEvent.reply
        seen: list[EventReport] = []

        def once(report: EventReport) -> None:
            seen.append(report)
            self.relay.observers.remove(once)

        self.relay.observers.add(once)
        self.say(client, b"1", b"2")
        self.assertEqual((len(seen), len(self.reports)), (1, 2))
