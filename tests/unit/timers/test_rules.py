"""Tests for :mod:`phpgw.timers.rules`, with daylight saving time."""

from collections.abc import Iterable
from datetime import UTC, datetime, tzinfo
from itertools import pairwise
from math import inf, nextafter
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from phpgw.timers.rules import Cron, Every, Rule

BERLIN = ZoneInfo("Europe/Berlin")
NEW_YORK = ZoneInfo("America/New_York")
# Its clocks change by half an hour.
LORD_HOWE = ZoneInfo("Australia/Lord_Howe")


def stamp(text: str, zone: tzinfo = UTC) -> float:
    """Return the seconds since the epoch for a local time, or a time with an offset."""
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).timestamp()


def next_times(rule: Rule, start: str, count: int, zone: tzinfo) -> list[str]:
    """Return the next times of this rule, as local times."""
    times = []
    moment = stamp(start, zone)
    for _ in range(count):
        moment = rule.next_after(moment)
        times.append(datetime.fromtimestamp(moment, zone).isoformat(" ", "minutes"))
    return times


class EveryTests(SynchronousTestCase):
    def test_first_after_one_period(self) -> None:
        rule = Every(10).starting_at(1000)
        self.assertEqual([1010, 1010, 1020], [rule.next_after(at) for at in (1000, 1009.9, 1010)])

    def test_count(self) -> None:
        """The later end is included, the earlier one is not."""
        rule = Every(10).starting_at(1000)
        for moment, until, count in (
            (1000, 1009.9, 0),
            (1000, 1010, 1),
            (1010, 1019, 0),
            (1005, 1035, 3),
            (1010, 1e6, 99900 - 1),
            (1500, 1200, 0),
        ):
            self.assertEqual(count, rule.count(moment, until), (moment, until))

    @given(
        st.floats(0, 4e9),
        st.floats(0.1, 3e7),
        st.integers(0, 10**6),
    )
    def test_no_drift(self, start: float, period: float, number: int) -> None:
        """The n-th time is n periods after the start, and no time comes twice."""
        rule = Every(period).starting_at(start)
        time = start + number * period
        self.assertEqual(start + (number + 1) * period, rule.next_after(time))
        self.assertEqual(1, rule.count(time, rule.next_after(time)))
        self.assertEqual(number, rule.count(start, time))
        just_before = nextafter(rule.next_after(time), 0)
        self.assertEqual(rule.next_after(time), rule.next_after(just_before))
        self.assertEqual(0, rule.count(time, just_before))


class CronTests(SynchronousTestCase):
    def test_times(self) -> None:
        for expression, times in {
            "*/20 * * * *": ["2026-06-01 12:20", "2026-06-01 12:40", "2026-06-01 13:00"],
            "30 3 * * *": ["2026-06-02 03:30", "2026-06-03 03:30", "2026-06-04 03:30"],
            "0 9-17/4 * * mon-fri": ["2026-06-01 13:00", "2026-06-01 17:00", "2026-06-02 09:00"],
            "0 0 1 jan,JUL *": ["2026-07-01 00:00", "2027-01-01 00:00", "2027-07-01 00:00"],
            "0 0 29 2 *": ["2028-02-29 00:00", "2032-02-29 00:00", "2036-02-29 00:00"],
            "0 0 1 * 7": ["2026-06-07 00:00", "2026-06-14 00:00", "2026-06-21 00:00"],
        }.items():
            found = next_times(Cron(expression, UTC), "2026-06-01 12:00", 3, UTC)
            self.assertEqual([f"{each}+00:00" for each in times], found, expression)

    def test_a_hair_before(self) -> None:
        """Rounding must not skip a run."""
        rule = Cron("* * * * *", UTC)
        for due in (1_780_000_020.0, 1_780_000_080.0):
            for early in (5e-7, 1e-3, 1):
                self.assertEqual(due, rule.next_after(due - early))
                self.assertEqual(1, rule.count(due - early, due))
            self.assertEqual(due + 60, rule.next_after(due))

    def test_count(self) -> None:
        rule = Cron("*/10 * * * *", UTC)
        start = stamp("2026-06-01 12:00")
        for seconds, count in ((599, 0), (600, 1), (1199, 1), (3600, 6), (-3600, 0)):
            self.assertEqual(count, rule.count(start, start + seconds))

    def test_count_of_years(self) -> None:
        """A clock that was wrong by decades does not block the reactor."""
        self.assertEqual(1000, Cron("* * * * *", UTC).count(0, stamp("2026-06-01 12:00")))

    def test_as_it_is_written(self) -> None:
        self.assertEqual("30 3 * * *", str(Cron(" 30  3\t* * * ")))
        self.assertEqual(Cron("30 3 * * *"), Cron("30  3 * * *"))

    def test_refused(self) -> None:
        """The error has one line with the problem and what is expected."""
        for expression, problem in {
            "": "0 of them",
            "soon": "1 of them",
            "@daily": "1 of them",
            "* * * *": "4 of them",
            "0 * * * * *": "6 of them",
            "60 * * * *": "a bad minute",
            "* 24 * * *": "a bad hour",
            "* * 0 * *": "a bad day-of-month",
            "* * * 13 *": "a bad month",
            "* * * * 8": "a bad day-of-week",
            "* * * * mo": "a bad day-of-week",
            "*/0 * * * *": "a bad minute",
            "5-1 * * * *": "a bad minute",
            "0 0 30 2 *": "a bad day-of-month",
            "* * */20 * 1L": "days that never come",
        }.items():
            complaint = str(self.assertRaises(ValueError, Cron, expression))
            self.assertIn("five fields as in a crontab (minute, ", complaint)
            self.assertIn(f"like 30 3 * * *; this has {problem}", complaint)

    @given(st.text("0123456789*,-/#LW aé²\0", max_size=20).map("* * * * {}".format))
    def test_nonsense(self, expression: str) -> None:
        """Any text is parsed or refused."""
        try:
            rule = Cron(expression, UTC)
        except ValueError as error:
            self.assertEqual(1, len(str(error).splitlines()))
        else:
            self.assertGreater(rule.next_after(0), 0)


class ClockChangeTests(SynchronousTestCase):
    """Changes of less than three hours, as Debian's cron(8) handles them."""

    def assert_times(
        self, expression: str, start: str, zone: tzinfo, expected: Iterable[str]
    ) -> None:
        times = list(expected)
        self.assertEqual(times, next_times(Cron(expression, zone), start, len(times), zone))

    def test_hour_that_is_left_out(self) -> None:
        """A timer in the skipped hour runs once, at the end of that hour."""
        self.assert_times(
            "30 2 * * *",
            "2026-03-28 01:00",
            BERLIN,
            ["2026-03-28 02:30+01:00", "2026-03-29 03:00+02:00", "2026-03-30 02:30+02:00"],
        )
        self.assert_times(
            "30 2 * * *",
            "2026-03-07 12:00",
            NEW_YORK,
            ["2026-03-08 03:00-04:00", "2026-03-09 02:30-04:00"],
        )

    def test_hour_that_comes_twice(self) -> None:
        self.assert_times(
            "30 2 * * *",
            "2026-10-24 12:00",
            BERLIN,
            ["2026-10-25 02:30+02:00", "2026-10-26 02:30+01:00"],
        )
        self.assert_times(
            "30 1 * * *",
            "2026-10-31 12:00",
            NEW_YORK,
            ["2026-11-01 01:30-04:00", "2026-11-02 01:30-05:00"],
        )

    def test_begun_in_the_second_of_two_hours(self) -> None:
        """A timer that ran in the first hour does not run again."""
        self.assert_times(
            "30 2 * * *",
            "2026-10-25 02:10+01:00",
            BERLIN,
            ["2026-10-26 02:30+01:00"],
        )

    def test_time_of_day_stays(self) -> None:
        self.assert_times(
            "0 8 * * *",
            "2026-03-28 00:00",
            BERLIN,
            ["2026-03-28 08:00+01:00", "2026-03-29 08:00+02:00", "2026-03-30 08:00+02:00"],
        )
        self.assert_times(
            "0 8 * * *",
            "2026-10-31 00:00",
            NEW_YORK,
            ["2026-10-31 08:00-04:00", "2026-11-01 08:00-05:00", "2026-11-02 08:00-05:00"],
        )

    def test_often(self) -> None:
        """Timers for each minute or hour continue at the same rate."""
        for zone, change in (
            (BERLIN, "2026-03-29 00:00"),
            (BERLIN, "2026-10-25 00:00"),
            (NEW_YORK, "2026-03-08 00:00"),
            (NEW_YORK, "2026-11-01 00:00"),
        ):
            for expression, period in (("*/15 * * * *", 900), ("0 * * * *", 3600)):
                rule = Cron(expression, zone)
                times = [stamp(change, zone)]
                while len(times) < 20:
                    times.append(rule.next_after(times[-1]))
                gaps = {later - earlier for earlier, later in pairwise(times)}
                self.assertEqual({period}, gaps, (expression, change))

    @given(
        st.sampled_from(["30 2 * * *", "15,45 1-3 * * *", "*/7 2 * * *", "0 3 * * 0", "0 0 * * *"]),
        st.sampled_from(
            [BERLIN, NEW_YORK, ZoneInfo("Australia/Lord_Howe"), ZoneInfo("Asia/Beirut")]
        ),
        st.datetimes(datetime(2024, 1, 1), datetime(2028, 1, 1)),
    )
    def test_never_back(self, expression: str, zone: ZoneInfo, start: datetime) -> None:
        """The next time is always later, for any start."""
        rule = Cron(expression, zone)
        moment = start.replace(tzinfo=UTC).timestamp()
        due = rule.next_after(moment)
        self.assertLess(moment, due)
        self.assertLess(due, inf)
        self.assertEqual(1, rule.count(moment, due))
        self.assertEqual(0, rule.count(moment, due - 0.001))
