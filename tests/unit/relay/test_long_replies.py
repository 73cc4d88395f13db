"""Replies whose commands take a while: what comes next waits for them, and nobody else does."""

import json
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import capturedLogs

from phpgw.hub.client import Client
from phpgw.relay.connect import Admission, Grant
from phpgw.time_slices import TimeSlices
from tests.support.fake_backend import COMMANDS, STREAM, AskedEvent, FakeBackendTestCase
from tests.support.fake_clocks import ManualReactor, TickingClock
from tests.support.fakes import FakeConnection

_COUNT = 600
_TO_ALL = {"op": "send", "to": {"all": True}, "message": "all"}
_TO_ME = {"op": "send", "message": "me"}


class LongReplyTestCase(FakeBackendTestCase):
    """Six hundred clients; a message to all of them takes six turns."""

    client_: Client
    connection: FakeConnection

    def setUp(self) -> None:
        super().setUp()
        self.clock = ManualReactor()
        self.use()
        self.client_, self.connection = self.client("me")
        self.others = [self.client(f"{n}")[1] for n in range(_COUNT)]

    def slices(self) -> TimeSlices:
        return TimeSlices(self.clock, 8, TickingClock())

    def turn(self) -> None:
        self.clock.turn()

    def finish(self) -> None:
        self.clock.run()

    def reply(self, *commands: dict[str, Any], index: int = -1) -> None:
        self.backend.asked[index].reply(json.dumps(commands).encode(), media_type=COMMANDS)

    def sent(self, connection: FakeConnection | None = None) -> list[bytes]:
        return [payload for payload, _ in (connection or self.connection).sent]

    def reached(self) -> int:
        """How many of the others have got something."""
        return sum(bool(each.sent) for each in self.others)


class OrderTests(LongReplyTestCase):
    def test_next_message(self) -> None:
        """PHP is given it once the commands before it are carried out."""
        self.say(self.client_, b"1", b"2")
        self.reply(_TO_ALL, {"op": "state", "state": "x"}, _TO_ME)
        self.turn()
        self.assertTrue(0 < self.reached() < _COUNT)
        self.assertEqual(self.backend.messages(), [b"1"])
        self.assertEqual(self.sent(), [b"all"])
        self.finish()
        self.assertEqual(self.reached(), _COUNT)
        self.assertEqual(self.sent(), [b"all", b"me"])
        self.assertEqual(self.backend.messages(), [b"1", b"2"])
        self.assertEqual(self.backend.asked[1].event.identity.state, "x")

    def test_others_do_not_wait(self) -> None:
        other, connection = self.client("other")
        self.say(self.client_, b"1")
        self.reply(*[_TO_ALL] * 20)
        self.turn()
        self.say(other, b"2")
        self.backend.asked[1].reply(b"at once")
        self.assertIn(b"at once", self.sent(connection))
        self.assertTrue(self.clock.is_busy)

    def test_disconnect(self) -> None:
        """PHP hears of it last."""
        self.say(self.client_, b"1")
        self.reply(_TO_ALL, {"op": "state", "state": "x"})
        self.turn()
        self.leave(self.client_)
        self.turn()
        self.assertEqual(len(self.backend.asked), 1)
        self.finish()
        self.assertEqual(self.reached(), _COUNT)
        self.assertEqual(self.backend.told()[1:], [("disconnect", "me")])
        self.assertEqual(self.backend.asked[1].event.identity.state, "x")

    def test_long_text(self) -> None:
        """To read it takes a while, too."""
        self.say(self.client_, b"1", b"2")
        self.reply(*[{"op": "send", "message": "x" * 100}] * 300)
        self.assertEqual(self.sent(), [])
        self.finish()
        self.assertEqual(len(self.sent()), 300)
        self.assertEqual(self.backend.messages(), [b"1", b"2"])

    def test_long_text_that_makes_no_sense(self) -> None:
        """Nothing of it is carried out."""
        self.say(self.client_, b"1", b"2")
        with capturedLogs() as events:
            self.reply(*[{"op": "send", "message": "x" * 100}] * 300, {"op": "fly"})
            self.finish()
        self.assertEqual(self.sent(), [])
        self.assertIn("command 300: op", str(events))
        self.assertEqual(self.metrics.php_failures, 1)
        self.assertEqual(self.backend.messages(), [b"1", b"2"])

    def test_many_that_reach_nobody(self) -> None:
        """A line in the log, not one for each."""
        self.say(self.client_, b"1")
        with capturedLogs() as events:
            self.reply(*[{"op": "send", "to": {"client": "z"}, "message": "x"}] * 1000)
            self.finish()
        lines = [event for event in events if "A {command} of PHP" in event["log_format"]]
        self.assertEqual(len(lines), 1)
        self.assertEqual(lines[0]["others"], " (and 999 others)")

    def test_timer(self) -> None:
        """Its run is over when its commands are."""
        over = self.relay.timers.trigger("clock")
        self.reply(_TO_ALL)
        self.turn()
        self.assertNoResult(over)
        self.finish()
        self.successResultOf(over)
        self.assertEqual(self.reached(), _COUNT)

    def test_idle(self) -> None:
        """The gateway does not stop before."""
        self.say(self.client_, b"1")
        self.reply(_TO_ALL)
        idle = self.relay.when_idle()
        self.turn()
        self.assertNoResult(idle)
        self.finish()
        self.successResultOf(idle)


class FailureTests(LongReplyTestCase):
    def test_all_that_wait_fail(self) -> None:
        """As behind an open circuit breaker; others have their turn in between."""
        self.use(max_waiting=1000, concurrency=2)
        clients = [self.client(f"192.0.2.{n % 250}:{n}")[0] for n in range(600)]
        for client in clients:
            self.say(client, b"x")
        self.backend.at_once = AskedEvent.break_off
        self.backend.asked[0].break_off()
        most, before = 0, self.metrics.php_failures
        while self.clock.is_busy:
            self.turn()
            most = max(most, self.metrics.php_failures - before)
            before = self.metrics.php_failures
        self.assertEqual(before, 599)
        self.assertLess(most, 150)


class StreamTests(LongReplyTestCase):
    def line(self, *commands: dict[str, Any]) -> bytes:
        return b"".join(json.dumps(each).encode() + b"\n" for each in commands)

    def begin(self) -> None:
        self.say(self.client_, b"1", b"2")
        self.backend.asked[0].begin()

    def test_waits(self) -> None:
        """PHP is held up meanwhile; what it has flushed by then comes after."""
        self.begin()
        asked = self.backend.asked[0]
        asked.flush(self.line(_TO_ALL, _TO_ME))
        self.assertTrue(asked.flow.is_paused)
        asked.flush(self.line({**_TO_ME, "message": "later"}))
        self.turn()
        self.assertEqual(self.sent(), [b"all"])
        self.finish()
        self.assertEqual(self.sent(), [b"all", b"me", b"later"])
        self.assertFalse(asked.flow.is_paused)
        self.assertEqual(self.reached(), _COUNT)

    def test_end(self) -> None:
        """The next message comes after all of it."""
        self.begin()
        asked = self.backend.asked[0]
        asked.flush(self.line(_TO_ALL) + json.dumps(_TO_ME).encode())
        asked.end()
        self.turn()
        self.assertEqual(self.backend.messages(), [b"1"])
        self.finish()
        self.assertEqual(self.sent(), [b"all", b"me"])
        self.assertEqual(self.backend.messages(), [b"1", b"2"])

    def test_bad_line(self) -> None:
        """Those before it are carried out, and those after it are not."""
        self.begin()
        self.backend.asked[0].flush(self.line(_TO_ALL, _TO_ME) + b"nonsense\n" + self.line(_TO_ME))
        self.turn()
        self.assertEqual(self.backend.messages(), [b"1"])
        self.finish()
        self.assertEqual(self.sent(), [b"all", b"me"])
        self.assertEqual(self.metrics.php_failures, 1)
        self.assertEqual(self.backend.messages(), [b"1", b"2"])

    def test_client_that_leaves(self) -> None:
        """The stream ends; what it has said is carried out, and then PHP hears of the end."""
        self.begin()
        asked = self.backend.asked[0]
        asked.flush(self.line(_TO_ALL))
        self.turn()
        self.leave(self.client_)
        self.assertTrue(asked.is_cancelled)
        self.assertEqual(len(self.backend.asked), 1)
        self.finish()
        self.assertEqual(self.reached(), _COUNT)
        self.assertEqual(self.backend.told()[1:], [("disconnect", "me")])

    def test_client_that_leaves_after_the_end(self) -> None:
        """There is nothing to be ended any more."""
        self.begin()
        asked = self.backend.asked[0]
        asked.flush(self.line(_TO_ALL))
        asked.end()
        self.leave(self.client_)
        self.assertEqual(len(self.backend.asked), 1)
        self.finish()
        self.assertEqual(self.reached(), _COUNT)
        self.assertEqual(self.backend.told()[1:], [("disconnect", "me")])
        self.assertEqual(self.metrics.replies_without_client, 0)

    def test_client_that_is_not_slow(self) -> None:
        """However long the commands of a stream take, that is not its client's fault."""
        self.begin()
        asked = self.backend.asked[0]
        for n in range(100):
            asked.flush(self.line({**_TO_ALL, "message": str(n)}))
            self.turn()
            self.clock.advance(9)
        self.clock.advance(1000)
        self.assertFalse(asked.is_cancelled)
        self.finish()
        self.assertIsNone(self.connection.closed)
        self.assertEqual(len(self.sent()), 100)

    def test_slow_client_afterwards(self) -> None:
        self.begin()
        asked = self.backend.asked[0]
        asked.flush(self.line(_TO_ALL))
        self.connection.is_congested = True
        self.finish()
        self.clock.advance(1000)
        self.assertTrue(asked.is_cancelled)

    def test_slow_client(self) -> None:
        """Once the commands are carried out, it is waited for."""
        self.begin()
        asked = self.backend.asked[0]
        asked.flush(self.line(_TO_ALL))
        self.connection.is_congested = True
        self.finish()
        self.assertTrue(asked.flow.is_paused)
        [taken] = self.connection.waiting
        taken()
        self.assertFalse(asked.flow.is_paused)

    def test_complete_at_once(self) -> None:
        self.say(self.client_, b"1", b"2")
        self.backend.asked[0].reply(self.line(_TO_ALL, _TO_ME), media_type=STREAM)
        self.turn()
        self.assertEqual(self.backend.messages(), [b"1"])
        self.finish()
        self.assertEqual(self.sent(), [b"all", b"me"])


class ConnectTests(LongReplyTestCase):
    def test_first_message(self) -> None:
        """It comes after the commands with which PHP let the client in."""
        admission = Admission(self.relay, self.replies, asks_php=True)
        newcomer, connection = self.client("new")
        asked: Deferred[Grant] = admission.ask(newcomer, ())
        asked.addCallback(lambda grant: admission.admit(newcomer, grant))
        self.reply(_TO_ALL, _TO_ME)
        self.say(newcomer, b"1", b"2")
        self.turn()
        self.assertEqual(len(self.backend.asked), 1)
        self.finish()
        self.assertEqual(self.sent(connection), [b"all", b"me"])
        self.assertEqual(self.backend.messages()[1:], [b"1"])
        self.backend.asked[1].reply(b"")
        self.assertEqual(self.backend.messages()[1:], [b"1", b"2"])

    def test_who_leaves_at_once(self) -> None:
        admission = Admission(self.relay, self.replies, asks_php=True)
        newcomer, _ = self.client("new")
        asked: Deferred[Grant] = admission.ask(newcomer, ())
        asked.addCallback(lambda grant: admission.admit(newcomer, grant))
        self.reply(_TO_ALL)
        self.turn()
        self.leave(newcomer)
        self.assertEqual(len(self.backend.asked), 1)
        self.finish()
        self.assertEqual(self.backend.told()[1:], [("disconnect", "new")])
