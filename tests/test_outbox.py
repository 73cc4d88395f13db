"""What waits for a peer, and how much of it may."""

from twisted.trial.unittest import SynchronousTestCase

from phpgw.edge.outbox import Outbox


class OutboxTests(SynchronousTestCase):
    def test_count(self) -> None:
        """There is room as long as no more waits than is allowed, however large the next one is."""
        outbox = Outbox(limit=1000)
        for size in (400, 600, 5000):
            self.assertTrue(outbox.count(size))
        self.assertFalse(outbox.count(1))

    def test_keep(self) -> None:
        outbox = Outbox(limit=1000)
        self.assertTrue(outbox.keep(b"one", False))
        self.assertTrue(outbox.keep(b"\x02" * 2000, True))
        self.assertFalse(outbox.keep(b"three", False))
        self.assertEqual(outbox.messages, [(b"one", False), (b"\x02" * 2000, True)])

    def test_empty_messages(self) -> None:
        """They take room as well."""
        outbox = Outbox(limit=1000)
        kept = [outbox.keep(b"", False) for _ in range(1000)]
        self.assertLess(sum(kept), 20)
