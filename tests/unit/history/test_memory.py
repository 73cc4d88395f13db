"""Tests for :mod:`phpgw.history.memory`."""

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from phpgw.history.interface import (
    EPOCH_SECONDS,
    MAX_PAGE_BYTES,
    HistoryEntry,
    HistoryPage,
    Position,
)
from phpgw.history.memory import MemoryHistory
from phpgw.history.rules import HistoryRule

_RULE = HistoryRule(3, 10.0)


def offsets(page: HistoryPage) -> list[int]:
    return [each.offset for each in page.entries]


class _Case(SynchronousTestCase):
    max_bytes = 1_000_000

    def setUp(self) -> None:
        self.clock = Clock()
        self.history = MemoryHistory(self.clock, self.max_bytes)

    def push(
        self, group: str = "g", rule: HistoryRule = _RULE, message: bytes = b"x", count: int = 1
    ) -> Position:
        for _ in range(count):
            position = self.history.append(group, rule, message, False)
        return position

    def after(self, offset: int, limit: int = 100, epoch: str | None = None) -> HistoryPage:
        epoch = epoch or self.history.last("g", 0).position.epoch
        return self.history.after("g", Position(offset, epoch), limit)


class ReadTests(_Case):
    def test_after(self) -> None:
        """A reader gets what was pushed behind its position, and where to read on."""
        position = self.push()
        self.assertEqual(1, position.offset)
        self.history.append("g", _RULE, b"\xff", True)
        page = self.history.after("g", position, 100)
        end = Position(2, position.epoch)
        self.assertEqual(HistoryPage([HistoryEntry(2, b"\xff", True)], end, False, False), page)
        self.assertEqual(HistoryPage([], end, False, False), self.history.after("g", end, 100))

    def test_last(self) -> None:
        """The last messages are told in the order in which they were pushed."""
        position = self.push(count=5)
        for limit, expected in ((0, []), (1, [5]), (2, [4, 5]), (100, [3, 4, 5])):
            page = self.history.last("g", limit)
            self.assertEqual(expected, offsets(page))
            self.assertEqual((position, False, False), (page.position, page.has_gap, page.has_more))

    def test_pages(self) -> None:
        self.push(count=3)
        page = self.after(0, limit=2)
        self.assertEqual(([1, 2], True), (offsets(page), page.has_more))
        page = self.after(page.position.offset, limit=2)
        self.assertEqual(([3], False), (offsets(page), page.has_more))
        page = self.after(1, limit=0)
        self.assertEqual(([], 1, True), (offsets(page), page.position.offset, page.has_more))

    def test_long_messages(self) -> None:
        """A page ends before it has too many bytes, but it has a message in any case."""
        self.push(message=b"x" * (MAX_PAGE_BYTES // 2), count=2)
        self.history = MemoryHistory(self.clock, 10 * MAX_PAGE_BYTES)
        for size in (MAX_PAGE_BYTES // 2, MAX_PAGE_BYTES // 2, MAX_PAGE_BYTES + 1):
            self.push(message=b"x" * size)
        page = self.after(0)
        self.assertEqual(([1, 2], True), (offsets(page), page.has_more))
        page = self.after(2)
        self.assertEqual(([3], False), (offsets(page), page.has_more))
        self.assertEqual([3], offsets(self.history.last("g", 100)))

    def test_groups(self) -> None:
        """Each group counts for itself, and has an epoch of its own."""
        self.assertNotEqual(self.push("a").epoch, self.push("b").epoch)
        self.assertEqual((2, 1), (self.push("a").offset, self.push("c").offset))

    def test_before_first(self) -> None:
        """Who reads before the first push can read on from there."""
        position = self.history.last("g", 0).position
        self.push(count=2)
        page = self.history.after("g", position, 100)
        self.assertEqual(([1, 2], False), (offsets(page), page.has_gap))


class GapTests(_Case):
    def test_size(self) -> None:
        """What is more than the size is dropped; who has not seen it is told."""
        self.push(count=5)
        for offset, has_gap, expected in (
            (0, True, [3, 4, 5]),
            (1, True, [3, 4, 5]),
            (2, False, [3, 4, 5]),
            (3, False, [4, 5]),
            (5, False, []),
        ):
            page = self.after(offset)
            self.assertEqual((has_gap, expected), (page.has_gap, offsets(page)), offset)

    def test_time(self) -> None:
        """A message expires after its time, also if others follow it."""
        self.push()
        self.clock.advance(6)
        self.push()
        self.clock.advance(3.9)
        self.assertEqual([1, 2], offsets(self.after(0)))
        self.clock.advance(0.1)
        page = self.after(0)
        self.assertEqual((True, [2]), (page.has_gap, offsets(page)))
        self.assertFalse(self.after(1).has_gap)
        self.clock.advance(6)
        self.assertEqual((True, []), (self.after(1).has_gap, offsets(self.after(1))))
        self.assertFalse(self.after(2).has_gap)

    def test_other_epoch(self) -> None:
        """Positions of another process, or of no process, are a gap; what is left is told."""
        position = self.push(count=2)
        other = MemoryHistory(self.clock, self.max_bytes)
        self.assertTrue(other.after("g", position, 100).has_gap)
        page = self.after(2, epoch="x")
        self.assertEqual((True, [1, 2], 2), (page.has_gap, offsets(page), page.position.offset))
        self.assertEqual(position.epoch, page.position.epoch)

    def test_future(self) -> None:
        """An offset that has not been reached is a gap."""
        self.push()
        self.assertTrue(self.after(2).has_gap)

    def test_silence(self) -> None:
        """A group that is silent for long has no gap, until its epoch ends."""
        position = self.push()
        self.clock.advance(_RULE.ttl + EPOCH_SECONDS - 1)
        self.assertFalse(self.history.after("g", position, 100).has_gap)
        self.clock.advance(2)
        self.assertEqual(0, self.history.groups)
        self.assertTrue(self.history.after("g", position, 100).has_gap)

    def test_smaller_rule(self) -> None:
        """The rule of the last push counts for the whole group."""
        self.push(count=3)
        self.push(rule=HistoryRule(1, 10.0))
        self.assertEqual([4], offsets(self.after(0)))
        self.clock.advance(5)
        self.push(rule=HistoryRule(3, 2.0))
        self.assertEqual([5], offsets(self.after(0)))


class BoundsTests(_Case):
    max_bytes = 10_000

    def test_freed(self) -> None:
        """What has expired is freed, also if nobody asks; nothing is left in the end."""
        for group in "abc":
            self.push(group, count=3)
        self.assertEqual((3, 9), (self.history.groups, self.history.entries))
        self.clock.advance(11)
        self.assertEqual((3, 0), (self.history.groups, self.history.entries))
        self.push("a")
        self.clock.advance(11)
        self.assertEqual(0, self.history.entries)
        self.clock.advance(EPOCH_SECONDS)
        self.assertEqual((0, 0), (self.history.groups, self.history.bytes))
        self.assertEqual([], self.clock.getDelayedCalls())
        self.assertEqual(0, self.history.dropped)

    def test_end(self) -> None:
        """A gateway that stops leaves nothing."""
        self.push(count=3)
        self.history.stopService()
        self.assertEqual((0, 0, 0), (self.history.groups, self.history.entries, self.history.bytes))
        self.assertEqual([], self.clock.getDelayedCalls())

    def test_silent_groups_make_room(self) -> None:
        """If there is too much, the group that has been silent for longest loses its oldest."""
        a, _ = self.push("a", message=b"x" * 1500, count=2), self.push("b", message=b"x" * 1500)
        self.push("c", message=b"x" * 1500)
        self.assertEqual(1, self.history.dropped)
        self.assertEqual([2], offsets(self.history.last("a", 100)))
        self.assertTrue(self.history.after("a", Position(0, a.epoch), 100).has_gap)
        self.assertLessEqual(self.history.bytes, self.max_bytes)

    def test_groups(self) -> None:
        """Groups take room, too, whether they are pushed to or read."""
        position = self.push("first")
        for n in range(1000):
            self.history.last(f"g-{n}", 1) if n % 2 else self.push(f"g-{n}")
        self.assertLessEqual(self.history.groups, 10)
        self.assertLessEqual(len(self.clock.getDelayedCalls()), 10)
        self.assertLessEqual(self.history.bytes, self.max_bytes)
        self.assertTrue(self.history.after("first", position, 100).has_gap)

    def test_too_long(self) -> None:
        """A message that is longer than there is room is not kept, and that is told."""
        position = self.push(message=b"x" * 20_000)
        page = self.history.after("g", Position(0, position.epoch), 100)
        self.assertEqual((True, []), (page.has_gap, offsets(page)))
        self.assertLessEqual(self.history.bytes, self.max_bytes)
