"""Tests for :mod:`phpgw.outgoing.inbox`."""

from twisted.trial.unittest import SynchronousTestCase

from phpgw.backend.event import Event
from phpgw.outgoing.inbox import EventInbox, InboxLimits
from tests.support.fakes import identity


class InboxTests(SynchronousTestCase):
    def test_limits(self) -> None:
        """It is full and exceeded by the number of events, or by their bytes."""
        for payload, full_at, exceeded_at in ((b"", 2, 5), (b"x" * 5, 2, 5), (b"x" * 20, 1, 3)):
            inbox = EventInbox(InboxLimits(count=2, size=20, max_count=4, max_size=40))
            full, exceeded = [], []
            for _ in range(6):
                inbox.add(Event("upstream", payload, identity()), None)
                full.append(inbox.is_full)
                exceeded.append(inbox.is_exceeded)
            self.assertEqual(full_at, full.index(True) + 1)
            self.assertEqual(exceeded_at, exceeded.index(True) + 1)
            while inbox:
                inbox.take()
            self.assertFalse(inbox.is_full)
