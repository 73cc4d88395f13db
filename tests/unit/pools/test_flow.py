"""Tests for :mod:`phpgw.pools.flow`."""

from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from phpgw.pools.flow import ReadPause


class ReadPauseTests(SynchronousTestCase):
    def test_pause(self) -> None:
        """The other connection is paused, read again, and never closed."""
        source = StringTransport()
        pause = ReadPause(source)
        pause.pauseProducing()
        self.assertEqual("paused", source.producerState)
        pause.resumeProducing()
        pause.stopProducing()
        self.assertEqual("producing", source.producerState)
        self.assertFalse(source.disconnecting)
