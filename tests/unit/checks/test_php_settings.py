"""Tests for :mod:`phpgw.checks.php_settings`."""

import re

from twisted.trial.unittest import SynchronousTestCase

from phpgw.checks.finding import Finding, Level
from phpgw.checks.php_settings import check_php_settings, parse_size
from tests.support.checked_situation import brief, situation

_RIGHT = {"post_max_size": "8M", "display_errors": "", "output_buffering": "4096"}
_LINE = re.compile(r"php_admin_(?:value|flag)\[(.+)\] = (.+)")


class PhpSettingsTests(SynchronousTestCase):
    def check(self, **ini: str) -> dict[str, Finding]:
        """The findings, by their ids, with these settings of PHP."""
        findings = check_php_settings(situation(), {**_RIGHT, **ini})
        return {finding.id: finding for finding in findings}

    def test_right(self) -> None:
        self.assertEqual({Level.OK}, {finding.level for finding in self.check().values()})

    def test_wrong(self) -> None:
        """The line that is printed makes each setting right."""
        for ini, expected in (
            ({"post_max_size": "1M"}, ("post-max-size", Level.WRONG)),
            ({"enable_post_data_reading": "0"}, ("post-max-size", Level.WRONG)),
            ({"display_errors": "1"}, ("display-errors", Level.WARN)),
            ({"display_errors": "On"}, ("display-errors", Level.WARN)),
            ({"output_buffering": "0"}, ("output-buffering", Level.NOTE)),
            ({"zlib.output_compression": "On"}, ("output-buffering", Level.NOTE)),
        ):
            name, _ = expected
            finding = self.check(**ini)[name]
            self.assertEqual(expected, brief(finding), ini)
            line = _LINE.fullmatch(finding.fix)
            assert line is not None, finding.fix
            self.assertEqual(Level.OK, self.check(**{**ini, line[1]: line[2]})[name].level, ini)

    def test_no_limit(self) -> None:
        self.assertEqual(Level.OK, self.check(post_max_size="0")["post-max-size"].level)

    def test_shown_errors(self) -> None:
        shown = situation(hide_php_errors=False)
        findings = check_php_settings(shown, {**_RIGHT, "display_errors": "1"})
        self.assertIn("Browsers get", next(each for each in findings if each.fix).why)

    def test_unknown(self) -> None:
        findings = [*check_php_settings(situation(), None)]
        self.assertEqual({Level.SKIPPED}, {finding.level for finding in findings})
        self.assertEqual(3, len(findings))

    def test_sizes(self) -> None:
        for text, size in (
            *(("8M", 8 * 1024**2), ("1g", 1024**3), ("512K", 512 * 1024), ("100", 100)),
            *(("", 0), ("-1", 0), ("x", 0), (" 2M ", 2 * 1024**2)),
        ):
            self.assertEqual(size, parse_size(text), text)
