"""Tests for :mod:`phpgw.timers.local_zone`, with the machine's time zone set to others."""

import os
import time
from datetime import UTC, datetime, timedelta
from unittest import mock
from zoneinfo import ZoneInfo

from twisted.trial.unittest import SynchronousTestCase

from phpgw.timers.local_zone import LOCAL_ZONE
from phpgw.timers.rules import Cron
from tests.unit.timers.test_rules import BERLIN, LORD_HOWE, NEW_YORK, next_times


class LocalZoneTests(SynchronousTestCase):
    def live_in(self, zone: str) -> None:
        """Set the machine's time zone, for one test."""
        environment = mock.patch.dict(os.environ, TZ=zone)
        self.addCleanup(time.tzset)
        self.addCleanup(environment.stop)
        environment.start()
        time.tzset()

    def test_as_in_the_zone(self) -> None:
        """For each hour of two years, local times match the zone's tables."""
        for zone in (BERLIN, NEW_YORK, LORD_HOWE, ZoneInfo("Asia/Kolkata")):
            self.live_in(zone.key)
            moment = datetime(2026, 1, 1, tzinfo=UTC)
            while moment.year < 2028:
                there, here = moment.astimezone(zone), moment.astimezone(LOCAL_ZONE)
                self.assertEqual(
                    (there.replace(tzinfo=None), there.fold, there.utcoffset(), moment),
                    (here.replace(tzinfo=None), here.fold, here.utcoffset(), here.astimezone(UTC)),
                )
                moment += timedelta(minutes=30)

    def test_cron(self) -> None:
        """By default, cron rules use local time."""
        for zone in (BERLIN, NEW_YORK):
            self.live_in(zone.key)
            for expression in ("30 2 * * *", "30 1 * * *", "*/30 * * * *", "0 0 * * *"):
                here, there = Cron(expression), Cron(expression, zone)
                for start in ("2026-03-07", "2026-03-28", "2026-10-24", "2026-10-31"):
                    self.assertEqual(
                        next_times(there, start, 60, zone), next_times(here, start, 60, zone)
                    )

    def test_zone_by_its_rules(self) -> None:
        """TZ can contain the rules of a zone (POSIX)."""
        self.live_in("CET-1CEST,M3.5.0,M10.5.0/3")
        self.assertEqual(
            next_times(Cron("30 2 * * *", BERLIN), "2026-03-28", 3, BERLIN),
            next_times(Cron("30 2 * * *"), "2026-03-28", 3, BERLIN),
        )
