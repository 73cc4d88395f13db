"""Tests for :mod:`phpgw.relay.failures`."""

from twisted.python.failure import Failure

from phpgw.backend import errors
from phpgw.backend.event import Event
from phpgw.relay.breaker import BreakerPolicy
from phpgw.relay.failures import FailureEntry
from tests.support.fake_backend import AskedEvent, FakeBackendTestCase


class FailureLogTests(FakeBackendTestCase):
    def failed(self, error: Exception) -> FailureEntry:
        """Have an event fail; returns the newest failure."""
        client, _ = self.client("a")
        self.say(client, b"secret")
        self.backend.asked[-1].answer.errback(error)
        self.flushLoggedErrors(type(error))
        self.leave(client)
        return self.replies.failures.newest_first()[0]

    def test_entry(self) -> None:
        """It has the id that the client gets, and says who, what, when and why; not the message."""
        self.use(on_error="reply", error_reply="%id%", reports_disconnects=False)
        self.clock.advance(5)
        client, connection = self.client("a")
        self.say(client, b"secret")
        self.backend.asked[0].break_off()
        [entry] = self.replies.failures.newest_first()
        self.assertEqual(connection.sent, [(entry.id.encode(), False)])
        self.assertEqual((entry.problem, entry.at, entry.count), ("cut off", 5, 1))
        self.assertEqual((entry.event.type, entry.event.identity.client_id), ("server", "a"))
        self.assertEqual(entry.event.message, b"")

    def test_advice(self) -> None:
        """Each way to fail has its own."""
        self.use(reports_disconnects=False)
        kinds = (
            *(errors.BackendBusy, errors.BackendTimeout, errors.BackendBroken),
            *(errors.ReplyTooLarge, errors.PhpErrorReported, ZeroDivisionError),
        )
        advices = {self.failed(kind("problem")).advice for kind in kinds}
        self.assertEqual(len(advices), len(kinds))
        for advice in advices:
            self.assertTrue(advice.why.endswith(".") and advice.fix.endswith("."), advice)

    def test_advice_by_status(self) -> None:
        """What helps depends on the status of PHP's reply."""
        self.use(reports_disconnects=False)
        for status, expected in (
            *((403, "--secret-file"), (404, "--php-script"), (413, "post_max_size")),
            *((500, "error log"), (503, "error log"), (302, "as the problem says")),
        ):
            client, _ = self.client("a")
            self.say(client, b"x")
            self.backend.asked[-1].reply(b"oops", status)
            self.leave(client)
            [newest, *_] = self.replies.failures.newest_first()
            self.assertIn(expected, newest.advice.fix, status)

    def test_shared(self) -> None:
        """Events that fail because the breaker is open share that of the one that opened it."""
        self.use(breaker=BreakerPolicy(failures=1), reports_disconnects=False)
        self.backend.at_once = AskedEvent.refuse
        client, _ = self.client("a")
        self.say(client, b"1", b"2", b"3")
        self.clock.pump([0.1, 0.2, 0.4, 0.8])
        [entry] = self.replies.failures.newest_first()
        self.assertEqual((entry.count, entry.problem), (3, "refused"))

    def test_bounded(self) -> None:
        """The last hundred are kept, and no long text."""
        self.use(reports_disconnects=False)
        for number in range(150):
            self.failed(errors.BackendBroken(f"{number} " + "x" * 10_000))
        entries = self.replies.failures.newest_first()
        self.assertEqual(len(entries), 100)
        self.assertTrue(entries[0].problem.startswith("149 "))
        self.assertLessEqual(max(len(each.problem) for each in entries), 2000)

    def test_many_of_one_kind(self) -> None:
        """They do not hide a failure of another kind."""
        self.use(reports_disconnects=False)
        self.failed(errors.BackendBroken("rare"))
        for _ in range(150):
            self.failed(errors.BackendTimeout("often"))
        problems = [each.problem for each in self.replies.failures.newest_first()]
        self.assertEqual(problems, ["often"] * 99 + ["rare"])

    def test_event_stays_as_it_is(self) -> None:
        """What is kept is a copy without the message."""
        event = Event("server", b"message", self.client("b")[0].identity)
        self.replies.failures.add("1", event, Failure(errors.BackendBroken("x")))
        self.assertEqual(event.message, b"message")
