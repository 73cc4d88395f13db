"""Tests for :mod:`phpgw.process.twistd_checks`: a pid file that names a real process."""

import os
import sys

from tests.unit.process.test_twistd_checks import DaemonTestCase


class PidFileTests(DaemonTestCase):
    def runs(self, *arguments: str) -> int:
        """The id of a process whose command line is this, and which waits."""
        program = "import sys; print(flush=True); sys.stdin.read()"
        reading, writing = os.pipe()
        started, tells = os.pipe()
        pid = os.posix_spawn(
            sys.executable,
            [sys.executable, "-c", program, *arguments],
            os.environ,
            file_actions=[(os.POSIX_SPAWN_DUP2, reading, 0), (os.POSIX_SPAWN_DUP2, tells, 1)],
        )
        # Before that its command line cannot be seen.
        os.read(started, 1)
        for descriptor in (reading, started, tells):
            os.close(descriptor)
        self.addCleanup(os.waitpid, pid, 0)
        self.addCleanup(os.close, writing)
        return pid

    def test_left_behind(self) -> None:
        """By one that was killed: its number is another's, ours, nobody's, or was never written."""
        for text in (
            str(self.runs("sleep")),
            str(os.getpid()),
            "999999999",
            "9" * 50,
            "0",
            "",
            "\n",
        ):
            self.pid_file.write_text(text)
            self.prepare()
            self.assertFalse(self.pid_file.exists(), text)

    def test_runs(self) -> None:
        """Two cannot have one file; the line says whose it is, and what to do."""
        pid = self.runs("phpgw", "--php-url", "http://localhost/")
        self.pid_file.write_text(f"{pid}\n")
        line = self.complaint()
        self.assertIn(f"process {pid} (it is in {self.pid_file})", line)
        self.assertIn("--pidfile", line)
        self.assertTrue(self.pid_file.exists())
