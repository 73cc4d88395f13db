"""Tests for :mod:`benchmarks.soak.verdict`: what a soak lets pass, and what it does not."""

from collections.abc import Callable
from random import Random

import attrs
from twisted.trial.unittest import SynchronousTestCase

from benchmarks.soak.ledger import Ledger
from benchmarks.soak.record import Count, End, Record, Sample
from benchmarks.soak.verdict import failures, trend

_SECONDS = 300
_MEMORY, _OBJECTS = 70 * 2**20, 90_000


def record(memory: Callable[[int], float], objects: Callable[[int], float]) -> Record:
    """Of a soak in which all went well but, perhaps, these curves."""
    return Record(
        Ledger(asked=10, answered=9, failed=1),
        [
            Sample(seconds, int(memory(seconds)), 20, 0.3 * seconds, 500, 10 * seconds, seconds)
            for seconds in range(_SECONDS)
        ],
        [Count(seconds, int(objects(seconds))) for seconds in range(0, _SECONDS, 5)],
        end=End({}, 0, 0),
    )


def flat_record() -> Record:
    random = Random(1)
    return record(
        lambda _: _MEMORY + random.uniform(-1, 1) * 2**20,
        lambda _: _OBJECTS + random.uniform(-1000, 1000),
    )


class TrendTests(SynchronousTestCase):
    def test_line(self) -> None:
        line = trend([(second, 1000 + second) for second in range(301)])
        self.assertAlmostEqual(line.slope, 1)
        self.assertEqual((line.level, line.seconds), (1200, 200))
        self.assertAlmostEqual(line.growth, 200 / 1200)

    def test_beginning_does_not_count(self) -> None:
        self.assertEqual(trend([(s, min(s, 50)) for s in range(300)]).slope, 0)

    def test_peaks_do_not_count(self) -> None:
        curve = [(second, 5000 if second % 10 == 0 else 1000) for second in range(300)]
        self.assertEqual(trend(curve).slope, 0)

    def test_long_curve(self) -> None:
        """Takes no longer than a short one, or it would be hours."""
        self.assertAlmostEqual(trend([(s, 1000 + s) for s in range(100_000)]).slope, 1)

    def test_too_short(self) -> None:
        self.assertRaises(ValueError, trend, [(0, 1), (1, 1), (2, 1)])


class FailuresTests(SynchronousTestCase):
    def assert_fails(self, soak: Record, word: str) -> None:
        [failure] = failures(soak)
        self.assertIn(word, failure)

    def test_all_well(self) -> None:
        self.assertEqual(list(failures(flat_record())), [])

    def test_memory_grows(self) -> None:
        """200 bytes for each of the 80 clients that come and go in a second."""
        flat = flat_record()
        samples = [
            attrs.evolve(each, resident=each.resident + int(each.seconds * 80 * 200))
            for each in flat.samples
        ]
        self.assert_fails(attrs.evolve(flat, samples=samples), "memory grew")

    def test_objects_grow(self) -> None:
        """One for every fifth of these clients."""
        flat = flat_record()
        counts = [
            Count(each.seconds, each.objects + 16 * int(each.seconds)) for each in flat.counts
        ]
        self.assert_fails(attrs.evolve(flat, counts=counts), "objects grew")

    def test_unanswered(self) -> None:
        soak = flat_record()
        soak.ledger.asked += 2
        self.assert_fails(soak, "2 messages were not answered")

    def test_complaint(self) -> None:
        soak = flat_record()
        soak.ledger.complain("3 after 1")
        self.assert_fails(soak, "3 after 1")

    def test_end(self) -> None:
        for end, word in (
            (End({"clients_now": 1}, 0, 0), "clients_now"),
            (End({}, 3, 0), "3 descriptors"),
            (End({}, 0, 1), "status 1"),
        ):
            soak = flat_record()
            soak.end = end
            self.assert_fails(soak, word)
