"""Tests for :mod:`phpgw.logs.timestamps`."""

import os
import time
from unittest import mock

from twisted.trial.unittest import SynchronousTestCase

from phpgw.logs.timestamps import _second, time_of_day, timestamp


class TimestampTests(SynchronousTestCase):
    def in_zone(self, zone: str) -> None:
        """Use a time zone until the end of the test."""
        patch = mock.patch.dict(os.environ, {"TZ": zone})
        patch.start()
        self.addCleanup(time.tzset)
        self.addCleanup(patch.stop)
        time.tzset()
        _second.cache_clear()
        self.addCleanup(_second.cache_clear)

    def test_utc(self) -> None:
        self.in_zone("UTC")
        self.assertEqual("2026-11-29T09:03:25.250+00:00", timestamp(1795943005.25))
        self.assertEqual("2026-11-29T09:03:25.000+00:00", timestamp(1795943005))
        self.assertEqual("2026-11-29T09:03:25.999+00:00", timestamp(1795943005.9999))
        self.assertEqual("09:03:25.250", time_of_day(1795943005.25))

    def test_local(self) -> None:
        """The time zone's offset is that of the time, also where the clocks have changed."""
        self.in_zone("Europe/Berlin")
        self.assertEqual("2026-11-29T10:03:25.250+01:00", timestamp(1795943005.25))
        self.assertEqual("2026-07-01T02:00:00.500+02:00", timestamp(1782864000.5))
        self.assertEqual("10:03:25.250", time_of_day(1795943005.25))
