"""Tests for :mod:`phpgw.process.socket_directory`."""

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from phpgw.process.socket_directory import NoSocketDirectory, make_socket_directory


class DirectoryTests(SynchronousTestCase):
    def short_directory(self) -> Path:
        directory = Path(tempfile.mkdtemp(dir="/tmp"))
        self.addCleanup(shutil.rmtree, directory)
        return directory

    def made_below(self, place: str) -> Path:
        self.patch(tempfile, "tempdir", place)
        made = make_socket_directory()
        self.addCleanup(made.rmdir)
        self.assertLess(len(os.fsencode(made / "1234567.sock")), 108)
        return made.parent

    def test_usual(self) -> None:
        self.assertEqual(Path("/tmp"), self.made_below("/tmp"))

    def test_no_place_for_a_socket(self) -> None:
        place = Path(self.mktemp()).absolute()
        for name in (
            "a;b",
            "a b",
            "a:b",
            'a"',
            "a'",
            "$x",
            "a#",
            "é",
            "é" * 60,
            "x" * 90,
            "missing",
        ):
            if name != "missing":
                (place / name).mkdir(parents=True)
            self.assertNotEqual(place / name, self.made_below(str(place / name)))

    def test_longest(self) -> None:
        base = self.short_directory()
        for length, is_taken in ((79, True), (80, False)):
            place = base / ("x" * (length - len(str(base)) - 1))
            place.mkdir()
            self.assertEqual(is_taken, self.made_below(str(place)) == place)

    def test_none_at_all(self) -> None:
        def refuse(**options: Any) -> str:
            raise OSError("read-only")

        self.patch(tempfile, "mkdtemp", refuse)
        problem = str(self.assertRaises(NoSocketDirectory, make_socket_directory))
        self.assertIn("there is no place for its socket: TMPDIR", problem)
