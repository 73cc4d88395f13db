"""Tests for :mod:`phpgw.hub.nodes`."""

from twisted.trial.unittest import SynchronousTestCase

from phpgw.hub.nodes import NoOtherNodes


class NoOtherNodesTests(SynchronousTestCase):
    def test_none(self) -> None:
        """A gateway that is alone is no node."""
        self.assertEqual((), self.successResultOf(NoOtherNodes().nodes()))
