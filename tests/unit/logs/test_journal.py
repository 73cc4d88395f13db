"""Tests for :mod:`phpgw.logs.journal`."""

import io
import os
from pathlib import Path

from twisted.logger import LogLevel
from twisted.trial.unittest import SynchronousTestCase

from phpgw.logs.journal import is_journal, priority


class JournalTests(SynchronousTestCase):
    def test_priorities(self) -> None:
        """Each level of Twisted's has one; a higher level has a lower number."""
        found = [int(priority(level)[1:-1]) for level in LogLevel.iterconstants()]
        self.assertEqual([7, 6, 4, 3, 2], found)

    def test_stream(self) -> None:
        """A stream is the journal if device and inode are those that systemd has named."""
        with Path(self.mktemp()).open("w") as stream:
            status = os.fstat(stream.fileno())
            named = f"{status.st_dev}:{status.st_ino}"
            self.assertTrue(is_journal(stream, {"JOURNAL_STREAM": named}))
            for other in (f"{status.st_dev}:{status.st_ino + 1}", "", "x", named.encode().hex()):
                self.assertFalse(is_journal(stream, {"JOURNAL_STREAM": other}))
            self.assertFalse(is_journal(stream, {}))

    def test_no_file(self) -> None:
        for stream in (io.StringIO(), None):
            self.assertFalse(is_journal(stream, {"JOURNAL_STREAM": "1:2"}))  # type: ignore[arg-type]
