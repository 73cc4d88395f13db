"""Tests for :mod:`phpgw.relay.queue`."""

from functools import partial
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from phpgw.backend.errors import BackendError
from phpgw.relay.queue import Line, Turn, Turns


class TurnsTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.begun: list[str] = []
        self.under_way: dict[str, Deferred[None]] = {}

    def begin(self, name: str, problem: BackendError | None = None) -> Deferred[None]:
        """Begin something that takes until it is ended."""
        self.begun.append(name)
        self.under_way[name] = Deferred()
        return self.under_way[name]

    def turn(self, name: str, line: Line, **fields: Any) -> Turn:
        return Turn(partial(self.begin, name), line, **fields)

    def end(self, *names: str) -> None:
        for name in names:
            self.under_way.pop(name).callback(None)

    def end_all(self) -> None:
        """Each, in the order in which they began."""
        for name in self.begun:
            if name in self.under_way:
                self.end(name)

    def take(self, turns: Turns, *names: str) -> None:
        for name in names:
            turns.take(self.turn(name, turns.messages))

    def take_disconnects(self, turns: Turns, *names: str) -> None:
        for name in names:
            turns.take(self.turn(name, turns.disconnects))


class TurnsTests(TurnsTestCase):
    def test_so_many_at_once_first_come_first_served(self) -> None:
        turns = Turns(2)
        self.take(turns, *"abcd")
        self.assertEqual(self.begun, ["a", "b"])
        self.end("b")
        self.assertEqual(self.begun, ["a", "b", "c"])
        self.end("a", "c")
        self.assertEqual(self.begun, ["a", "b", "c", "d"])

    def test_nothing_to_do_any_more(self) -> None:
        turns = Turns(1)
        turns.take(Turn(lambda problem: None, turns.messages))
        self.take(turns, "a", "b")
        self.assertEqual(self.begun, ["a"])

    def test_many_that_are_over_at_once_do_not_nest(self) -> None:
        turns = Turns(1)
        left = 5000

        def begin(problem: BackendError | None) -> Deferred[None]:
            nonlocal left
            left -= 1
            if left:
                turns.take(Turn(begin, turns.messages))
            return succeed(None)

        turns.take(Turn(begin, turns.messages))
        self.assertEqual(left, 0)
        self.successResultOf(turns.when_idle())

    def test_one_that_cannot_begin_keeps_nobody_waiting(self) -> None:
        turns = Turns(1)

        def begin(problem: BackendError | None) -> Deferred[None]:
            self.take(turns, "a")
            raise ZeroDivisionError

        turns.take(Turn(begin, turns.messages))
        self.assertEqual(self.begun, ["a"])
        self.take(turns, "b")
        self.end("a")
        self.assertEqual(self.begun, ["a", "b"])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_given_up(self) -> None:
        turns = Turns(1)
        given_up = self.turn("b", turns.messages)
        self.take(turns, "a")
        turns.take(given_up)
        self.take(turns, "c")
        turns.cancel(given_up)
        self.assertEqual(turns.waiting, 1)
        self.end("a")
        self.assertEqual(self.begun, ["a", "c"])

    def test_one_that_fails_is_logged(self) -> None:
        turns = Turns(4)
        for line in (turns.messages, turns.disconnects):
            turns.take(Turn(lambda problem: fail(ZeroDivisionError()), line))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 2)
        self.take(turns, *"abcd")
        self.assertEqual(len(self.begun), 4)


class DisconnectTests(TurnsTestCase):
    def test_get_a_quarter(self) -> None:
        turns = Turns(8)
        self.take_disconnects(turns, *(f"p{number}" for number in range(9)))
        self.assertEqual(self.begun, ["p0", "p1"])
        self.take(turns, *"abcdefg")
        self.assertEqual(self.begun, ["p0", "p1", *"abcdef"])
        self.end("a")
        self.assertEqual(self.begun[-1], "g")
        self.end("p0")
        self.assertEqual(self.begun[-1], "p2")
        self.end(*"bcdefg")
        self.assertEqual(len(self.under_way), 2)

    def test_never_two_in_a_row_while_others_wait(self) -> None:
        for limit in (1, 2, 4, 8):
            self.begun, self.under_way = [], {}
            turns = Turns(limit)
            self.take(turns, *(f"first {number}" for number in range(limit)))
            self.take_disconnects(turns, *(f"p{number}" for number in range(20)))
            self.take(turns, *(f"other {number}" for number in range(10)))
            self.end_all()
            last = self.begun.index("other 9")
            kinds = [name[0] for name in self.begun[:last]]
            self.assertNotIn("pp", "".join(kinds), f"limit {limit}")
            self.assertEqual(len(self.begun), limit + 30)

    def test_whoever_had_nothing_to_do_was_none_in_between(self) -> None:
        turns = Turns(1)
        self.take(turns, "a")
        self.take_disconnects(turns, "p0", "p1")
        turns.take(Turn(lambda problem: None, turns.messages))
        self.take(turns, "b")
        self.end("a")
        self.end("p0")
        self.assertEqual(self.begun, ["a", "p0", "b"])

    def test_do_not_starve(self) -> None:
        """However much the others have to do."""
        turns = Turns(1)
        self.take(turns, "a")
        self.take_disconnects(turns, "p0", "p1")
        for before, after in (("a", "b"), ("p0", "c"), ("b", "d"), ("p1", "e")):
            self.take(turns, after)
            self.end(before)
        self.assertEqual(self.begun, ["a", "p0", "b", "p1", "c"])

    def test_hurry(self) -> None:
        turns = Turns(4)
        self.take_disconnects(turns, *(f"p{number}" for number in range(6)))
        self.assertEqual(len(self.begun), 1)
        turns.hurry()
        self.assertEqual(self.begun, ["p0", "p1", "p2", "p3"])
        self.take(turns, "a")
        self.end("p0", "p1")
        self.assertEqual(self.begun[4:], ["a", "p4"])


class ShareTests(TurnsTestCase):
    """What could keep messages waiting has a bounded share."""

    def take_all(self, turns: Turns, line: Line, name: str, count: int = 20) -> None:
        for number in range(count):
            turns.take(self.turn(f"{name}{number}", line))

    def test_alone(self) -> None:
        for limit, streams, handshakes in ((1, 1, 1), (2, 1, 1), (4, 3, 2), (5, 4, 2), (8, 6, 4)):
            turns = Turns(limit)
            for line, share in ((turns.streams, streams), (turns.handshakes, handshakes)):
                self.take_all(turns, line, "x")
                self.assertEqual(len(self.under_way), share, limit)
                while self.under_way:
                    self.end_all()
                self.setUp()

    def test_messages_have_a_turn_at_once(self) -> None:
        """Whatever else there is."""
        for limit in (4, 5, 8, 16):
            self.setUp()
            turns = Turns(limit)
            for line in (turns.handshakes, turns.disconnects):
                self.take_all(turns, line, "x")
            for number in range(limit // 4):
                self.take(turns, f"message {number}")
                self.assertEqual(self.begun[-1], f"message {number}")

    def test_the_others_share_what_streams_leave(self) -> None:
        turns = Turns(4)
        self.take_all(turns, turns.streams, "s")
        self.take_all(turns, turns.handshakes, "h")
        self.take_all(turns, turns.disconnects, "d")
        self.assertEqual(self.begun, ["s0", "s1", "s2", "h0"])
        self.take(turns, "m0", "m1")
        self.end("h0")
        self.assertEqual(self.begun[4:], ["m0"])
        self.end("m0")
        self.assertEqual(self.begun[5:], ["d0"])
        self.end("d0")
        self.assertEqual(self.begun[6:], ["m1"])
        self.end("m1")
        self.assertEqual(self.begun[7:], ["h1"])

    def test_becomes_stream(self) -> None:
        """What began as a message counts from then on."""
        turns = Turns(2)
        first = self.turn("m", turns.messages)
        turns.take(first)
        turns.becomes_stream(first)
        self.take_all(turns, turns.streams, "s", 2)
        self.assertEqual(self.begun, ["m"])
        self.take(turns, "other")
        self.assertEqual(self.begun, ["m", "other"])
        self.end("m")
        self.assertEqual(self.begun, ["m", "other", "s0"])
        self.end("other", "s0")
        self.assertEqual(self.begun[3:], ["s1"])
        self.end("s1")
        self.successResultOf(turns.when_idle())

    def test_networks_take_turns_with_handshakes(self) -> None:
        """However many come from one of them."""
        turns = Turns(1)
        self.take(turns, "m")
        for name, place in (
            *((f"a{number}", "a") for number in range(5)),
            ("b0", "b"),
            ("c0", "c"),
        ):
            turns.take(self.turn(name, turns.handshakes, place=place))
        given_up = self.turn("a5", turns.handshakes, place="a")
        turns.take(given_up)
        self.assertEqual((turns.waiting, turns.waiting_from("a")), (8, 6))
        turns.cancel(given_up)
        self.end("m")
        while self.under_way:
            self.end_all()
        self.assertEqual(self.begun, ["m", "a0", "b0", "c0", "a1", "a2", "a3", "a4"])
        self.assertEqual((turns.waiting, turns.waiting_from("a")), (0, 0))


class IdleTests(TurnsTestCase):
    def test_waits_for_whoever_waits_or_is_under_way(self) -> None:
        turns = Turns(1)
        self.take(turns, "a")
        self.take_disconnects(turns, "p")
        idle, other = turns.when_idle(), turns.when_idle()
        self.end("a")
        self.assertNoResult(idle)
        self.end("p")
        self.successResultOf(idle)
        self.successResultOf(other)
        self.successResultOf(turns.when_idle())

    def test_asked_for_by_one_that_has_nothing_to_do(self) -> None:
        turns = Turns(1)
        asked: list[Deferred[None]] = []
        turns.take(Turn(lambda problem: asked.append(turns.when_idle()), turns.messages))
        self.successResultOf(asked[0])

    def test_not_while_a_turn_begins(self) -> None:
        turns = Turns(1)
        asked: list[Deferred[None]] = []

        def begin(problem: BackendError | None) -> Deferred[None]:
            asked.append(turns.when_idle())
            self.assertNoResult(asked[0])
            return self.begin("a")

        turns.take(Turn(begin, turns.messages))
        self.assertNoResult(asked[0])
        self.end("a")
        self.successResultOf(asked[0])

    def test_not_waited_for_any_longer(self) -> None:
        turns = Turns(1)
        clock = Clock()
        self.take(turns, "a")
        idle = turns.when_idle()
        late = idle.addTimeout(1, clock, onTimeoutCancel=lambda *_: None)
        other = turns.when_idle()
        clock.advance(1)
        self.successResultOf(late)
        self.end("a")
        self.successResultOf(other)


class AllowTests(TurnsTestCase):
    def test_none(self) -> None:
        """Those under way go on, and all others wait."""
        turns = Turns(2)
        self.take(turns, *"abc")
        turns.allow(0)
        self.end("a", "b")
        self.take(turns, "d")
        self.take_disconnects(turns, "p")
        self.assertEqual(self.begun, ["a", "b"])
        self.assertEqual((turns.waiting, turns.under_way), (2, 0))

    def test_more_and_more(self) -> None:
        """Up to the limit."""
        turns = Turns(3)
        turns.allow(0)
        self.take(turns, *"abcdef")
        turns.allow(1)
        self.assertEqual(self.begun, ["a"])
        self.end("a")
        self.assertEqual(self.begun, ["a", "b"])
        turns.allow(2)
        self.assertEqual(self.begun, ["a", "b", "c"])
        turns.allow(10)
        self.assertEqual(self.begun, ["a", "b", "c", "d"])
        self.assertEqual((turns.waiting, turns.under_way), (2, 3))

    def test_fewer(self) -> None:
        turns = Turns(3)
        self.take(turns, *"abcde")
        turns.allow(1)
        self.end("a", "b")
        self.assertEqual(self.begun, ["a", "b", "c"])
        self.end("c")
        self.assertEqual(self.begun, ["a", "b", "c", "d"])

    def test_those_with_time_get_theirs(self) -> None:
        turns = Turns(8)
        turns.allow(0)
        self.take_disconnects(turns, "p0", "p1")
        self.take(turns, "a", "b")
        turns.allow(1)
        self.end_all()
        self.assertEqual(self.begun, ["p0", "a", "p1", "b"])


class StillTests(TurnsTestCase):
    def test_nobody_under_way(self) -> None:
        """Whoever waits."""
        turns = Turns(2)
        self.successResultOf(turns.when_none_running())
        self.take(turns, *"abc")
        turns.allow(0)
        still = turns.when_none_running()
        self.end("a")
        self.assertNoResult(still)
        self.end("b")
        self.successResultOf(still)
        self.assertEqual(turns.waiting, 1)

    def test_not_between_two_turns(self) -> None:
        turns = Turns(1)
        self.take(turns, "a", "b")
        still = turns.when_none_running()
        self.end("a")
        self.assertNoResult(still)
        self.end("b")
        self.successResultOf(still)

    def test_who_hears_of_it_may_take_a_turn(self) -> None:
        turns = Turns(1)
        self.take(turns, "a")
        turns.when_none_running().addCallback(lambda _: self.take(turns, "b"))
        idle = turns.when_idle()
        self.end("a")
        self.assertNoResult(idle)
        self.end("b")
        self.successResultOf(idle)
