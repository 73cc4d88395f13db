"""Tests for :mod:`phpgw.logs.observer`."""

import io
import json
import os
from pathlib import Path

from twisted.logger import Logger
from twisted.trial.unittest import SynchronousTestCase

from phpgw.logs.observer import make_observer


class Terminal(io.StringIO):
    """A stream that says that it is a terminal."""

    def isatty(self) -> bool:
        return True


class ObserverTests(SynchronousTestCase):
    def lines(
        self, stream: io.StringIO, level: str = "info", log_format: str = "text", **env: str
    ) -> list[str]:
        """Return the lines that a stream gets: one of each level."""
        log = Logger(
            "phpgw.gateway.Gateway", observer=make_observer(level, log_format, stream, env)
        )
        for each in (log.debug, log.info, log.warn, log.error, log.critical):
            each("something")
        return stream.getvalue().splitlines()

    def test_levels(self) -> None:
        """Lines of lower levels are left out."""
        for level, count in (("debug", 5), ("info", 4), ("warn", 3), ("error", 2)):
            self.assertEqual(count, len(self.lines(io.StringIO(), level)))

    def test_encoding(self) -> None:
        """A name that the stream's encoding does not have hides no line."""
        written = io.BytesIO()
        stream = io.TextIOWrapper(written, encoding="latin-1", errors="strict")
        log = Logger("x", observer=make_observer("info", "text", stream, {}))
        log.info("User {user}", user="Zoë 日本")
        stream.flush()
        self.assertIn(b"User Zo\xeb \\u65e5\\u672c\n", written.getvalue())

    def test_no_level(self) -> None:
        """An event without a level counts as info."""
        for level, expected in (("info", True), ("warn", False)):
            stream = io.StringIO()
            make_observer(level, "text", stream, {})({"log_format": "x", "log_time": 0.0})
            self.assertEqual(expected, bool(stream.getvalue()))

    def test_formats(self) -> None:
        self.assertRegex(self.lines(io.StringIO())[0], r"\A\S+ info  gateway: something\Z")
        line = json.loads(self.lines(io.StringIO(), log_format="json")[0])
        self.assertEqual("something", line["message"])

    def test_colors(self) -> None:
        """A terminal has colours, unless it has none, or the user wants none."""
        self.assertIn("\x1b[", self.lines(Terminal(), TERM="xterm")[0])
        self.assertIn("\x1b[", self.lines(Terminal(), NO_COLOR="")[0])
        self.assertNotIn("\x1b[", self.lines(Terminal(), NO_COLOR="1")[0])
        self.assertNotIn("\x1b[", self.lines(Terminal(), TERM="dumb")[0])
        self.assertNotIn("\x1b[", self.lines(Terminal(), log_format="json")[0])

    def test_journal(self) -> None:
        """What systemd has connected to its journal gets priorities, in either format."""
        for log_format in ("text", "json"):
            path = Path(self.mktemp())
            with path.open("w") as stream:
                status = os.fstat(stream.fileno())
                named = {"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"}
                log = Logger(observer=make_observer("warn", log_format, stream, named))
                log.info("left out")
                log.warn("something")
            [line] = path.read_text().splitlines()
            self.assertEqual("<4>", line[:3])
            self.assertIn("something", line)

    def test_binary_file(self) -> None:
        """A log file takes bytes, in UTF-8."""
        path = Path(self.mktemp())
        with path.open("wb") as file:
            Logger(observer=make_observer("info", "text", file, {})).info("Zo\xeb \ud800")
        self.assertIn("Zo\xeb \\ud800", path.read_text("utf-8"))
