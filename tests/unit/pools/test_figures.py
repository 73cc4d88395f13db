"""Tests for :mod:`phpgw.pools.figures`."""

import json

from twisted.trial.unittest import SynchronousTestCase

from phpgw.pools.figures import PoolFigures


class FiguresTests(SynchronousTestCase):
    def test_as_json(self) -> None:
        """Figures of another process are the same as here, and can be added to."""
        figures = PoolFigures(in_use=3, opened=7)
        figures.closed["age"] += 1
        figures.waits.observe(0.2)
        told = PoolFigures.from_json(json.loads(json.dumps(figures.as_json())))
        self.assertEqual(figures, told)
        told.closed["new"] += 1
        self.assertEqual((0, 1, 1), (told.closed["lost"], told.closed["age"], told.closed["new"]))
