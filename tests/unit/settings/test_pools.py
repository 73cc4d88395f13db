"""Tests for :mod:`phpgw.settings.pools`, and for the tables of pools in a file."""

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from phpgw.settings import Settings
from phpgw.settings.as_json import settings_as_json
from phpgw.settings.option import Given, InvalidOption
from phpgw.settings.sources import combine


class PoolSettingsTests(SynchronousTestCase):
    def settings(self, lines: str, **texts: list[str]) -> Settings:
        file = Path(self.mktemp())
        file.write_text(f'php-script = "/a.php"\n{lines}')
        given = {
            name.replace("_", "-"): [Given(text, "on the command line") for text in each]
            for name, each in texts.items()
        }
        return Settings.from_texts(combine({"config": [Given(str(file), "")], **given}, {}))

    def test_off(self) -> None:
        self.assertEqual((), self.settings("").pools())

    def test_filled_in(self) -> None:
        """What a pool does not say, the options for all say."""
        settings = self.settings(
            "",
            pool=["a=mysql://h", "b=mysql://h?wait=9s&socket=/s", "c=tcp://h:1?listen=[::1]:1"],
            pool_wait=["2s"],
            pool_directory=["/srv/pools"],
        )
        a, b, c = settings.pools()
        self.assertEqual((2, 9, 2), (a.wait, b.wait, c.wait))
        self.assertEqual(("/srv/pools/a.sock", "/s", None), (a.socket, b.socket, c.socket))
        self.assertEqual(("/srv/pools/a.sock", "[::1]:1"), (a.where, c.where))

    def test_tables(self) -> None:
        """Tables stand beside a list, and a command line replaces both."""
        lines = """
            pool = ["a=mysql://h"]
            [pools.b]
            url = "redis://h"
            size = 16
        """
        pools = self.settings(lines).pools()
        self.assertEqual([("a", 8), ("b", 16)], [(pool.name, pool.size) for pool in pools])
        self.assertEqual(1, len(self.settings(lines, pool=["c=redis://h"]).pools()))

    def test_refused(self) -> None:
        for lines, *hints in (
            ('[pools.a]\nsize = 8\nurl = "mysql://h?size=9"', "--pool", "size once", "pools.a in"),
            ('[pools.a]\nurl = "mysql://h"\nsize = 0', "pools.a in", "above 0"),
            ("[pools.a]\nsize = 8", "pools.a in", "url ="),
            ("[pools]\na = 8", "pools.a in", "a table"),
            ("pools = 8", "options as keys"),
            ('pool = ["a=mysql://h", "a=redis://h"]', "each name once", "'a'"),
            ('pool = ["a=mysql://h?socket=/s", "b=redis://h?socket=/s"]', "of its own", "'/s'"),
        ):
            error = str(self.assertRaises(InvalidOption, self.settings, lines))
            for hint in hints:
                self.assertIn(hint, error, lines)

    def test_as_json(self) -> None:
        """Others are told which pools there are, and no users."""
        told = settings_as_json(self.settings("", pool=["a=mysql://app@h?size=9"]))
        self.assertEqual(["a=mysql://h:3306"], told["pool"])
