"""Tests for :mod:`phpgw.process.collector`."""

import gc
from unittest.mock import patch
from weakref import ref

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from phpgw.process import collector
from phpgw.process.collector import Collector


class Thing:
    """Something that can be in a circle."""

    other: object = None


def circle() -> "ref[Thing]":
    """Make a circle that nothing refers to."""
    thing = Thing()
    thing.other = thing
    return ref(thing)


class CollectorTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.collector = Collector(self.clock)
        self.thresholds = gc.get_threshold()
        self.collector.startService()
        self.addCleanup(self.collector.stopService)

    def test_start_is_set_aside(self) -> None:
        self.assertGreater(gc.get_freeze_count(), 2 * collector._WORTH_IT)
        self.assertLess(len(gc.get_objects()), collector._WORTH_IT)

    def test_survivors_are_looked_at_once(self) -> None:
        things = [Thing() for _ in range(2 * collector._WORTH_IT)]
        gc.collect()
        self.assertLess(len(gc.get_objects()), collector._WORTH_IT)
        self.assertEqual(2 * collector._WORTH_IT, len(things))

    def test_few_are_looked_at_again(self) -> None:
        before = gc.get_freeze_count()
        things = [Thing() for _ in range(collector._WORTH_IT // 10)]
        gc.collect()
        self.assertLessEqual(gc.get_freeze_count(), before)
        things[0].other, circular = things, ref(things[0])
        del things
        gc.collect()
        self.assertIsNone(circular())

    def test_what_is_set_aside_is_freed_as_ever(self) -> None:
        # The last of them need not be set aside.
        things = [Thing() for _ in range(3 * collector._WORTH_IT)]
        gc.collect()
        first, before = ref(things[0]), gc.get_freeze_count()
        things.clear()
        self.assertIsNone(first())
        self.assertLess(gc.get_freeze_count(), before - collector._WORTH_IT)

    def test_circles_of_all_ages(self) -> None:
        young = circle()
        gc.collect()
        self.assertIsNone(young())
        things = [Thing() for _ in range(2 * collector._WORTH_IT)]
        things[0].other = things[0]
        old = ref(things[0])
        gc.collect()
        del things
        gc.collect()
        self.assertIsNotNone(old())
        self.clock.advance(collector._LOOK_SECONDS)
        self.assertIsNotNone(old())
        with patch.object(collector, "_MOST_SET_ASIDE", collector._WORTH_IT):
            self.clock.advance(collector._LOOK_SECONDS)
        self.assertIsNone(old())
        self.assertLess(len(gc.get_objects()), collector._WORTH_IT)

    def test_stop(self) -> None:
        self.collector.stopService()
        self.assertEqual(0, gc.get_freeze_count())
        self.assertEqual(self.thresholds, gc.get_threshold())
        self.assertNotIn(self.collector._collected, gc.callbacks)
        self.assertEqual([], self.clock.getDelayedCalls())
