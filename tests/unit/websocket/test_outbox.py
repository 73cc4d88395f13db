"""Tests for :mod:`phpgw.websocket.outbox`."""

from typing import Any

from twisted.internet.abstract import FileDescriptor
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from phpgw.websocket.outbox import Outbox, drop_unsent, unsent_bytes


class OutboxTests(SynchronousTestCase):
    def test_room(self) -> None:
        outbox = Outbox(limit=1000)
        self.assertTrue(outbox.has_room(500))
        self.assertFalse(outbox.has_room(501))

    def test_full(self) -> None:
        """Bytes that the transport buffers anyway do not count."""
        outbox = Outbox(limit=1000, buffered=500)
        self.assertFalse(outbox.is_full(1500))
        self.assertTrue(outbox.is_full(1501))

    def test_checks(self) -> None:
        """A peer that goes on reading is alive."""
        outbox = Outbox(limit=1000)
        self.assertEqual([1, 2], [outbox.count_ping(900) for _ in range(2)])
        outbox.written += 300
        self.assertEqual(1, outbox.count_ping(1100))
        outbox.written += 300
        self.assertEqual([2, 1], [outbox.count_ping(1400), outbox.count_ping(1399)])

    def test_keep(self) -> None:
        outbox = Outbox(limit=1000)
        self.assertTrue(outbox.keep(b"one", False))
        self.assertTrue(outbox.keep(b"\x02" * 2000, True))
        self.assertFalse(outbox.keep(b"three", False))
        self.assertEqual(
            [kept[:2] for kept in outbox.messages], [(b"one", False), (b"\x02" * 2000, True)]
        )

    def test_empty_messages(self) -> None:
        """Empty messages count, too."""
        outbox = Outbox(limit=1000)
        kept = [outbox.keep(b"", False) for _ in range(1000)]
        self.assertLess(sum(kept), 20)

    def test_buffers_of_the_transport(self) -> None:
        transport: Any = FileDescriptor(MemoryReactorClock())
        transport.dataBuffer, transport.offset = b"x" * 900, 100
        transport._tempDataBuffer, transport._tempDataLen = [b"y" * 50], 50
        self.assertEqual(850, unsent_bytes(transport))
        drop_unsent(transport)
        self.assertEqual(0, unsent_bytes(transport))
