"""Tests for :mod:`phpgw.php.turns`."""

from collections.abc import Callable

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from phpgw.php.turns import Turns


class TurnsTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.begun: list[str] = []
        self.under_way: dict[str, Deferred[None]] = {}

    def turn(self, name: str) -> Callable[[], Deferred[None]]:
        """Takes until it is ended."""

        def begin() -> Deferred[None]:
            self.begun.append(name)
            self.under_way[name] = Deferred()
            return self.under_way[name]

        return begin

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
            turns.take(self.turn(name))

    def take_patiently(self, turns: Turns, *names: str) -> None:
        for name in names:
            turns.take_patiently(self.turn(name))


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
        turns.take(lambda: None)
        self.take(turns, "a", "b")
        self.assertEqual(self.begun, ["a"])

    def test_many_that_are_over_at_once_do_not_nest(self) -> None:
        turns = Turns(1)
        left = 5000

        def begin() -> Deferred[None]:
            nonlocal left
            left -= 1
            if left:
                turns.take(begin)
            return succeed(None)

        turns.take(begin)
        self.assertEqual(left, 0)
        self.successResultOf(turns.when_idle())

    def test_one_that_cannot_begin_keeps_nobody_waiting(self) -> None:
        turns = Turns(1)

        def begin() -> Deferred[None]:
            self.take(turns, "a")
            raise ZeroDivisionError

        turns.take(begin)
        self.assertEqual(self.begun, ["a"])
        self.take(turns, "b")
        self.end("a")
        self.assertEqual(self.begun, ["a", "b"])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_given_up(self) -> None:
        turns = Turns(1)
        given_up = self.turn("b")
        self.take(turns, "a")
        turns.take(given_up)
        self.take(turns, "c")
        turns.give_up(given_up)
        self.assertEqual(turns.waiting, 1)
        self.end("a")
        self.assertEqual(self.begun, ["a", "c"])

    def test_one_that_fails_is_logged(self) -> None:
        turns = Turns(4)
        turns.take(lambda: fail(ZeroDivisionError()))
        turns.take_patiently(lambda: fail(ZeroDivisionError()))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 2)
        self.take(turns, *"abcd")
        self.assertEqual(len(self.begun), 4)


class PatientTests(TurnsTestCase):
    def test_get_a_quarter(self) -> None:
        turns = Turns(8)
        self.take_patiently(turns, *(f"p{number}" for number in range(9)))
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
            self.take_patiently(turns, *(f"p{number}" for number in range(20)))
            self.take(turns, *(f"other {number}" for number in range(10)))
            self.end_all()
            last = self.begun.index("other 9")
            kinds = [name[0] for name in self.begun[:last]]
            self.assertNotIn("pp", "".join(kinds), f"limit {limit}")
            self.assertEqual(len(self.begun), limit + 30)

    def test_whoever_had_nothing_to_do_was_none_in_between(self) -> None:
        turns = Turns(1)
        self.take(turns, "a")
        self.take_patiently(turns, "p0", "p1")
        turns.take(lambda: None)
        self.take(turns, "b")
        self.end("a")
        self.end("p0")
        self.assertEqual(self.begun, ["a", "p0", "b"])

    def test_do_not_starve(self) -> None:
        """However much the others have to do."""
        turns = Turns(1)
        self.take(turns, "a")
        self.take_patiently(turns, "p0", "p1")
        for before, after in (("a", "b"), ("p0", "c"), ("b", "d"), ("p1", "e")):
            self.take(turns, after)
            self.end(before)
        self.assertEqual(self.begun, ["a", "p0", "b", "p1", "c"])

    def test_hurry(self) -> None:
        turns = Turns(4)
        self.take_patiently(turns, *(f"p{number}" for number in range(6)))
        self.assertEqual(len(self.begun), 1)
        turns.hurry()
        self.assertEqual(self.begun, ["p0", "p1", "p2", "p3"])
        self.take(turns, "a")
        self.end("p0", "p1")
        self.assertEqual(self.begun[4:], ["a", "p4"])


class IdleTests(TurnsTestCase):
    def test_waits_for_whoever_waits_or_is_under_way(self) -> None:
        turns = Turns(1)
        self.take(turns, "a")
        self.take_patiently(turns, "p")
        idle, other = turns.when_idle(), turns.when_idle()
        self.end("a")
        self.assertNoResult(idle)
        self.end("p")
        self.successResultOf(idle)
        self.successResultOf(other)
        self.successResultOf(turns.when_idle())

    def test_not_while_a_turn_begins(self) -> None:
        turns = Turns(1)
        asked: list[Deferred[None]] = []

        def begin() -> Deferred[None]:
            asked.append(turns.when_idle())
            self.assertNoResult(asked[0])
            return self.turn("a")()

        turns.take(begin)
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
        self.take_patiently(turns, "p")
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
        self.take_patiently(turns, "p0", "p1")
        self.take(turns, "a", "b")
        turns.allow(1)
        self.end_all()
        self.assertEqual(self.begun, ["p0", "a", "p1", "b"])


class StillTests(TurnsTestCase):
    def test_nobody_under_way(self) -> None:
        """Whoever waits."""
        turns = Turns(2)
        self.successResultOf(turns.when_still())
        self.take(turns, *"abc")
        turns.allow(0)
        still = turns.when_still()
        self.end("a")
        self.assertNoResult(still)
        self.end("b")
        self.successResultOf(still)
        self.assertEqual(turns.waiting, 1)

    def test_not_between_two_turns(self) -> None:
        turns = Turns(1)
        self.take(turns, "a", "b")
        still = turns.when_still()
        self.end("a")
        self.assertNoResult(still)
        self.end("b")
        self.successResultOf(still)

    def test_who_hears_of_it_may_take_a_turn(self) -> None:
        turns = Turns(1)
        self.take(turns, "a")
        turns.when_still().addCallback(lambda _: self.take(turns, "b"))
        idle = turns.when_idle()
        self.end("a")
        self.assertNoResult(idle)
        self.end("b")
        self.successResultOf(idle)
