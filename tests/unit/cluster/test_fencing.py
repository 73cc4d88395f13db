"""Tests for :mod:`phpgw.cluster.fencing`."""

from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from phpgw.cluster.fencing import FencedConnection, Fencing
from phpgw.hub.client import Client
from phpgw.time_slices import TimeSlices
from tests.support.fakes import FakeConnection, identity


class FakeFencedConnection(FakeConnection):
    """A connection and its client.

    :ivar is_read: whether it is still read.
    """

    def __init__(self, client_id: str) -> None:
        super().__init__()
        self.client = Client(identity(client_id), self)
        self.is_read = True

    def stop_reading(self) -> None:
        self.is_read = False


class FencingTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock: Any = Clock()
        self.connections: list[FakeFencedConnection] = []
        self.discarded: list[Client] = []

        def connections() -> list[FencedConnection]:
            return [*self.connections]

        self.fencing = Fencing(
            self.clock, TimeSlices(self.clock), connections, self.discarded.append
        )

    def connect(self, count: int) -> None:
        for _ in range(count):
            self.connections.append(FakeFencedConnection(str(len(self.connections))))

    def closed(self) -> int:
        return sum(each.closed is not None for each in self.connections)

    def test_spread_out(self) -> None:
        """All are closed with 1012 in ten seconds; nothing they send reaches PHP any more."""
        self.connect(3000)
        self.fencing.renamed("old")
        for _ in range(100):
            self.clock.advance(0)
        self.assertFalse(any(each.is_read for each in self.connections))
        self.assertEqual(3000, len(self.discarded))
        self.assertLessEqual(self.closed(), 60)
        self.clock.pump([0.1] * 50)
        self.assertTrue(1300 < self.closed() < 1700, self.closed())
        self.clock.pump([0.1] * 50)
        self.assertEqual(3000, self.closed())
        self.assertEqual((1012, "the gateway was cut off"), self.connections[0].closed)
        self.assertEqual([], self.clock.getDelayedCalls())

    def test_few(self) -> None:
        """Few clients do not wait for the sake of each other."""
        self.connect(5)
        self.fencing.renamed("old")
        self.clock.advance(0.1)
        self.assertEqual(5, self.closed())

    def test_new_clients(self) -> None:
        """Those that connect meanwhile have to do with the new node."""
        self.connect(100)
        self.fencing.renamed("old")
        self.connect(1)
        self.clock.pump([0.1] * 200)
        self.assertEqual(100, self.closed())
        self.assertTrue(self.connections[-1].is_read)

    def test_twice(self) -> None:
        """A node that is cut off again closes all that it has."""
        self.connect(100)
        self.fencing.renamed("old")
        self.connect(100)
        self.fencing.renamed("older")
        self.clock.pump([0.1] * 200)
        self.assertEqual(200, self.closed())
        self.assertEqual([], self.clock.getDelayedCalls())

    def test_other_nodes(self) -> None:
        """Another node's end does nothing to the clients of this one."""
        self.connect(1)
        self.fencing.left("other")
        self.clock.pump([0.1] * 200)
        self.assertEqual(0, self.closed())

    def test_no_clients(self) -> None:
        self.fencing.renamed("old")
        self.clock.pump([0.1] * 2)
        self.assertEqual([], self.clock.getDelayedCalls())
