"""Tests for :mod:`phpgw.relay.queue`."""

from functools import partial
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from phpgw.backend.errors import BackendError
from phpgw.metrics import Metrics
from phpgw.relay.fifo import DeferredEvent, Fifo, QueuedEvent
from phpgw.relay.queue import EventQueue


class QueueTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.begun: list[str] = []
        self.under_way: dict[str, Deferred[None]] = {}

    def begin(
        self, name: str, event: QueuedEvent | None = None, error: BackendError | None = None
    ) -> Deferred[None]:
        """Begin something that takes until it is ended."""
        self.begun.append(name)
        self.under_way[name] = Deferred()
        return self.under_way[name]

    def turn(self, name: str, fifo: Fifo, **fields: Any) -> QueuedEvent:
        return DeferredEvent(partial(self.begin, name), fifo, **fields)

    def end(self, *names: str) -> None:
        for name in names:
            self.under_way.pop(name).callback(None)

    def end_all(self) -> None:
        """Each, in the order in which they began."""
        for name in self.begun:
            if name in self.under_way:
                self.end(name)

    def take(self, queue: EventQueue, *names: str) -> None:
        for name in names:
            queue.enqueue(self.turn(name, queue.messages))

    def take_disconnects(self, queue: EventQueue, *names: str) -> None:
        for name in names:
            queue.enqueue_low_priority(self.turn(name, queue.disconnects))


class QueueTests(QueueTestCase):
    def test_so_many_at_once_first_come_first_served(self) -> None:
        queue = EventQueue(2, Metrics())
        self.take(queue, *"abcd")
        self.assertEqual(self.begun, ["a", "b"])
        self.end("b")
        self.assertEqual(self.begun, ["a", "b", "c"])
        self.end("a", "c")
        self.assertEqual(self.begun, ["a", "b", "c", "d"])

    def test_nothing_to_do_any_more(self) -> None:
        queue = EventQueue(1, Metrics())
        queue.enqueue(DeferredEvent(lambda event, error: None, queue.messages))
        self.take(queue, "a", "b")
        self.assertEqual(self.begun, ["a"])

    def test_many_that_are_over_at_once_do_not_nest(self) -> None:
        queue = EventQueue(1, Metrics())
        left = 5000

        def begin(event: QueuedEvent, error: BackendError | None) -> Deferred[None]:
            nonlocal left
            left -= 1
            if left:
                queue.enqueue(DeferredEvent(begin, queue.messages))
            return succeed(None)

        queue.enqueue(DeferredEvent(begin, queue.messages))
        self.assertEqual(left, 0)
        self.successResultOf(queue.when_idle())

    def test_one_that_cannot_begin_keeps_nobody_waiting(self) -> None:
        queue = EventQueue(1, Metrics())

        def begin(event: QueuedEvent, error: BackendError | None) -> Deferred[None]:
            self.take(queue, "a")
            raise ZeroDivisionError

        queue.enqueue(DeferredEvent(begin, queue.messages))
        self.assertEqual(self.begun, ["a"])
        self.take(queue, "b")
        self.end("a")
        self.assertEqual(self.begun, ["a", "b"])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_given_up(self) -> None:
        queue = EventQueue(1, Metrics())
        given_up = self.turn("b", queue.messages)
        self.take(queue, "a")
        queue.enqueue(given_up)
        self.take(queue, "c")
        queue.cancel(given_up)
        self.assertEqual(queue.waiting, 1)
        self.end("a")
        self.assertEqual(self.begun, ["a", "c"])

    def test_one_that_fails_is_logged(self) -> None:
        queue = EventQueue(4, Metrics())
        for fifo in (queue.messages, queue.disconnects):
            queue.enqueue(DeferredEvent(lambda event, error: fail(ZeroDivisionError()), fifo))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 2)
        self.take(queue, *"abcd")
        self.assertEqual(len(self.begun), 4)


class DisconnectTests(QueueTestCase):
    def test_get_a_quarter(self) -> None:
        queue = EventQueue(8, Metrics())
        self.take_disconnects(queue, *(f"p{number}" for number in range(9)))
        self.assertEqual(self.begun, ["p0", "p1"])
        self.take(queue, *"abcdefg")
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
            queue = EventQueue(limit, Metrics())
            self.take(queue, *(f"first {number}" for number in range(limit)))
            self.take_disconnects(queue, *(f"p{number}" for number in range(20)))
            self.take(queue, *(f"other {number}" for number in range(10)))
            self.end_all()
            last = self.begun.index("other 9")
            kinds = [name[0] for name in self.begun[:last]]
            self.assertNotIn("pp", "".join(kinds), f"limit {limit}")
            self.assertEqual(len(self.begun), limit + 30)

    def test_whoever_had_nothing_to_do_was_none_in_between(self) -> None:
        queue = EventQueue(1, Metrics())
        self.take(queue, "a")
        self.take_disconnects(queue, "p0", "p1")
        queue.enqueue(DeferredEvent(lambda event, error: None, queue.messages))
        self.take(queue, "b")
        self.end("a")
        self.end("p0")
        self.assertEqual(self.begun, ["a", "p0", "b"])

    def test_do_not_starve(self) -> None:
        """However much the others have to do."""
        queue = EventQueue(1, Metrics())
        self.take(queue, "a")
        self.take_disconnects(queue, "p0", "p1")
        for before, after in (("a", "b"), ("p0", "c"), ("b", "d"), ("p1", "e")):
            self.take(queue, after)
            self.end(before)
        self.assertEqual(self.begun, ["a", "p0", "b", "p1", "c"])

    def test_hurry(self) -> None:
        queue = EventQueue(4, Metrics())
        self.take_disconnects(queue, *(f"p{number}" for number in range(6)))
        self.assertEqual(len(self.begun), 1)
        queue.lift_disconnect_limit()
        self.assertEqual(self.begun, ["p0", "p1", "p2", "p3"])
        self.take(queue, "a")
        self.end("p0", "p1")
        self.assertEqual(self.begun[4:], ["a", "p4"])


class ShareTests(QueueTestCase):
    """What could keep messages waiting has a bounded share."""

    def take_all(self, queue: EventQueue, fifo: Fifo, name: str, count: int = 20) -> None:
        for number in range(count):
            queue.enqueue(self.turn(f"{name}{number}", fifo))

    def test_alone(self) -> None:
        for limit, streams, handshakes in ((1, 1, 1), (2, 1, 1), (4, 3, 2), (5, 4, 2), (8, 6, 4)):
            queue = EventQueue(limit, Metrics())
            for fifo, share in ((queue.streams, streams), (queue.handshakes, handshakes)):
                self.take_all(queue, fifo, "x")
                self.assertEqual(len(self.under_way), share, limit)
                while self.under_way:
                    self.end_all()
                self.setUp()

    def test_messages_have_a_turn_at_once(self) -> None:
        """Whatever else there is."""
        for limit in (4, 5, 8, 16):
            self.setUp()
            queue = EventQueue(limit, Metrics())
            for fifo in (queue.handshakes, queue.disconnects):
                self.take_all(queue, fifo, "x")
            for number in range(limit // 4):
                self.take(queue, f"message {number}")
                self.assertEqual(self.begun[-1], f"message {number}")

    def test_the_others_share_what_streams_leave(self) -> None:
        queue = EventQueue(4, Metrics())
        self.take_all(queue, queue.streams, "s")
        self.take_all(queue, queue.handshakes, "h")
        self.take_all(queue, queue.disconnects, "d")
        self.assertEqual(self.begun, ["s0", "s1", "s2", "h0"])
        self.take(queue, "m0", "m1")
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
        queue = EventQueue(2, Metrics())
        first = self.turn("m", queue.messages)
        queue.enqueue(first)
        queue.count_as_stream(first)
        self.take_all(queue, queue.streams, "s", 2)
        self.assertEqual(self.begun, ["m"])
        self.take(queue, "other")
        self.assertEqual(self.begun, ["m", "other"])
        self.end("m")
        self.assertEqual(self.begun, ["m", "other", "s0"])
        self.end("other", "s0")
        self.assertEqual(self.begun[3:], ["s1"])
        self.end("s1")
        self.successResultOf(queue.when_idle())

    def test_networks_take_turns_with_handshakes(self) -> None:
        """However many come from one of them."""
        queue = EventQueue(1, Metrics())
        self.take(queue, "m")
        for name, place in (
            *((f"a{number}", "a") for number in range(5)),
            ("b0", "b"),
            ("c0", "c"),
        ):
            queue.enqueue(self.turn(name, queue.handshakes, network=place))
        given_up = self.turn("a5", queue.handshakes, network="a")
        queue.enqueue(given_up)
        self.assertEqual((queue.waiting, queue.waiting_from("a")), (8, 6))
        queue.cancel(given_up)
        self.end("m")
        while self.under_way:
            self.end_all()
        self.assertEqual(self.begun, ["m", "a0", "b0", "c0", "a1", "a2", "a3", "a4"])
        self.assertEqual((queue.waiting, queue.waiting_from("a")), (0, 0))


class IdleTests(QueueTestCase):
    def test_waits_for_whoever_waits_or_is_under_way(self) -> None:
        queue = EventQueue(1, Metrics())
        self.take(queue, "a")
        self.take_disconnects(queue, "p")
        idle, other = queue.when_idle(), queue.when_idle()
        self.end("a")
        self.assertNoResult(idle)
        self.end("p")
        self.successResultOf(idle)
        self.successResultOf(other)
        self.successResultOf(queue.when_idle())

    def test_asked_for_by_one_that_has_nothing_to_do(self) -> None:
        queue = EventQueue(1, Metrics())
        asked: list[Deferred[None]] = []
        queue.enqueue(
            DeferredEvent(lambda event, error: asked.append(queue.when_idle()), queue.messages)
        )
        self.successResultOf(asked[0])

    def test_not_while_a_turn_begins(self) -> None:
        queue = EventQueue(1, Metrics())
        asked: list[Deferred[None]] = []

        def begin(event: QueuedEvent, error: BackendError | None) -> Deferred[None]:
            asked.append(queue.when_idle())
            self.assertNoResult(asked[0])
            return self.begin("a")

        queue.enqueue(DeferredEvent(begin, queue.messages))
        self.assertNoResult(asked[0])
        self.end("a")
        self.successResultOf(asked[0])

    def test_not_waited_for_any_longer(self) -> None:
        queue = EventQueue(1, Metrics())
        clock = Clock()
        self.take(queue, "a")
        idle = queue.when_idle()
        late = idle.addTimeout(1, clock, onTimeoutCancel=lambda *_: None)
        other = queue.when_idle()
        clock.advance(1)
        self.successResultOf(late)
        self.end("a")
        self.successResultOf(other)


class AllowTests(QueueTestCase):
    def test_none(self) -> None:
        """Those under way go on, and all others wait."""
        queue = EventQueue(2, Metrics())
        self.take(queue, *"abc")
        queue.set_concurrency(0)
        self.end("a", "b")
        self.take(queue, "d")
        self.take_disconnects(queue, "p")
        self.assertEqual(self.begun, ["a", "b"])
        self.assertEqual((queue.waiting, queue.running), (2, 0))

    def test_more_and_more(self) -> None:
        """Up to the limit."""
        queue = EventQueue(3, Metrics())
        queue.set_concurrency(0)
        self.take(queue, *"abcdef")
        queue.set_concurrency(1)
        self.assertEqual(self.begun, ["a"])
        self.end("a")
        self.assertEqual(self.begun, ["a", "b"])
        queue.set_concurrency(2)
        self.assertEqual(self.begun, ["a", "b", "c"])
        queue.set_concurrency(10)
        self.assertEqual(self.begun, ["a", "b", "c", "d"])
        self.assertEqual((queue.waiting, queue.running), (2, 3))

    def test_fewer(self) -> None:
        queue = EventQueue(3, Metrics())
        self.take(queue, *"abcde")
        queue.set_concurrency(1)
        self.end("a", "b")
        self.assertEqual(self.begun, ["a", "b", "c"])
        self.end("c")
        self.assertEqual(self.begun, ["a", "b", "c", "d"])

    def test_those_with_time_get_theirs(self) -> None:
        queue = EventQueue(8, Metrics())
        queue.set_concurrency(0)
        self.take_disconnects(queue, "p0", "p1")
        self.take(queue, "a", "b")
        queue.set_concurrency(1)
        self.end_all()
        self.assertEqual(self.begun, ["p0", "a", "p1", "b"])


class StillTests(QueueTestCase):
    def test_nobody_under_way(self) -> None:
        """Whoever waits."""
        queue = EventQueue(2, Metrics())
        self.successResultOf(queue.when_none_running())
        self.take(queue, *"abc")
        queue.set_concurrency(0)
        still = queue.when_none_running()
        self.end("a")
        self.assertNoResult(still)
        self.end("b")
        self.successResultOf(still)
        self.assertEqual(queue.waiting, 1)

    def test_not_between_two_turns(self) -> None:
        queue = EventQueue(1, Metrics())
        self.take(queue, "a", "b")
        still = queue.when_none_running()
        self.end("a")
        self.assertNoResult(still)
        self.end("b")
        self.successResultOf(still)

    def test_who_hears_of_it_may_take_a_turn(self) -> None:
        queue = EventQueue(1, Metrics())
        self.take(queue, "a")
        queue.when_none_running().addCallback(lambda _: self.take(queue, "b"))
        idle = queue.when_idle()
        self.end("a")
        self.assertNoResult(idle)
        self.end("b")
        self.successResultOf(idle)
