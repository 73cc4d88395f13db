"""Tests for :mod:`phpgw.duration`."""

from twisted.trial.unittest import SynchronousTestCase

from phpgw.duration import is_duration, parse_duration


class DurationTests(SynchronousTestCase):
    def test_units(self) -> None:
        for text, seconds in (
            ("10", 10),
            (" 2.5 ", 2.5),
            ("500ms", 0.5),
            ("10 s", 10),
            ("5m", 300),
            ("1h", 3600),
            ("0", 0),
        ):
            self.assertEqual(seconds, parse_duration(text), text)

    def test_others(self) -> None:
        for text in ("", "-1", "1d", "1e3", "5 min", "1.s", "99999999h", "9" * 5000):
            self.assertRaises(ValueError, parse_duration, text)

    def test_form(self) -> None:
        """A duration that is too long has the form of one."""
        self.assertTrue(is_duration("99999999h"))
        self.assertFalse(is_duration("* * * * *"))
