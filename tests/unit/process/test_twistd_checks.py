"""Tests for :mod:`phpgw.process.twistd_checks`."""

import errno
import os
from pathlib import Path
from typing import Any, NoReturn

from twisted.trial.unittest import SynchronousTestCase

from phpgw.process.twistd_checks import CannotStart, log_path, prepare

_NOTHING: dict[str, Any] = {
    **{"nodaemon": 0, "debug": False, "pidfile": "twistd.pid", "logfile": None, "logger": None},
    **{"syslog": 0, "rundir": ".", "chroot": None, "uid": None, "gid": None},
}


def not_permitted(*arguments: object) -> NoReturn:
    raise PermissionError(errno.EPERM, "not permitted")


class DaemonTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.directory = Path(self.mktemp()).absolute()
        self.directory.mkdir()
        self.pid_file = self.directory / "twistd.pid"

    def prepare(self, **options: Any) -> dict[str, Any]:
        twistd = {**_NOTHING, "pidfile": str(self.pid_file), **options}
        if not twistd["nodaemon"] and twistd["logfile"] is None:
            twistd["logfile"] = str(self.directory / "log")
        prepare(twistd)
        return twistd

    def complaint(self, **options: Any) -> str:
        line = str(self.assertRaises(CannotStart, self.prepare, **options))
        self.assertEqual(1, len(line.splitlines()), line)
        return line


class PidFileTests(DaemonTestCase):
    def test_foreground(self) -> None:
        """There is none by default."""
        self.assertEqual("", self.prepare(nodaemon=1, pidfile="twistd.pid")["pidfile"])
        self.assertEqual("", self.prepare(debug=True, pidfile="twistd.pid")["pidfile"])
        named = str(self.directory / "pid")
        self.assertEqual(named, self.prepare(nodaemon=1, pidfile=named)["pidfile"])

    def test_something_else(self) -> None:
        """A file that is not a process id file is not changed."""
        for text in ("precious", "-1", "1 2"):
            self.pid_file.write_text(text)
            self.assertIn("something else in it", self.complaint())
            self.assertEqual(text, self.pid_file.read_text())

    def test_no_file(self) -> None:
        """A device like /dev/null reads as an empty file, and a pipe has no end."""
        os.mkfifo(self.pid_file)
        self.assertIn(f"--pidfile: {self.pid_file} is no file", self.complaint())
        self.assertTrue(self.pid_file.is_fifo())
        link = self.directory / "link"
        link.symlink_to("/dev/full")
        self.assertIn("is no file", self.complaint(pidfile=str(link)))
        self.assertTrue(link.is_symlink())

    def test_cannot_be_written(self) -> None:
        link, loop = self.directory / "link", self.directory / "loop"
        link.symlink_to(self.directory / "no" / "pid")
        loop.symlink_to(loop)
        for path in (
            *(self.directory, self.directory / "no" / "pid", link, loop),
            self.directory / ("x" * 300),
        ):
            self.assertIn("--pidfile", self.complaint(pidfile=str(path)))
        self.patch(os, "open", not_permitted)
        self.assertIn(f"cannot write {self.pid_file} (not permitted)", self.complaint())

    def test_nothing_stays(self) -> None:
        """The check leaves no file, since the start may still fail."""
        self.prepare(logfile=str(self.directory / "log"))
        self.assertEqual([], [*self.directory.iterdir()])


class LogTests(DaemonTestCase):
    def test_path(self) -> None:
        here = Path.cwd()
        for options, path in (
            ({}, here / "twistd.log"),
            ({"logfile": "x"}, here / "x"),
            ({"logfile": "/x", "nodaemon": 1}, Path("/x")),
            ({"nodaemon": 1}, None),
            ({"logfile": "-", "nodaemon": 1}, None),
            ({"syslog": 1}, None),
            ({"logger": "some.observer"}, None),
        ):
            self.assertEqual(path, log_path({**_NOTHING, **options}), options)

    def test_cannot_be_written(self) -> None:
        for path in (
            *(self.directory, self.directory / "no" / "log", self.directory / ("x" * 300)),
        ):
            self.assertIn("--logfile", self.complaint(logfile=str(path)))

    def test_pipe(self) -> None:
        """/dev/stdout is a pipe in a container. twistd seeks to its end."""
        reading, writing = os.pipe()
        self.addCleanup(os.close, reading)
        self.addCleanup(os.close, writing)
        line = self.complaint(nodaemon=1, logfile=f"/dev/fd/{writing}")
        self.assertIn("--logfile -", line)

    def test_what_is_there_is_kept(self) -> None:
        log = self.directory / "log"
        log.write_text("before")
        self.prepare(logfile=str(log))
        self.assertEqual("before", log.read_text())
        self.prepare(logfile=os.devnull)

    def test_no_working_directory(self) -> None:
        self.addCleanup(os.chdir, Path.cwd())
        gone = self.directory / "gone"
        gone.mkdir()
        os.chdir(gone)
        gone.rmdir()
        self.assertIn("no working directory", self.complaint(logfile="log"))
        self.assertIn("no working directory", self.complaint(pidfile="pid"))
        self.prepare(nodaemon=1, pidfile="twistd.pid")


class OtherOptionTests(DaemonTestCase):
    def test_directories(self) -> None:
        nowhere = str(self.directory / "no")
        for name in ("rundir", "chroot"):
            self.assertIn(f"--{name}", self.complaint(**{name: nowhere}))

    def test_not_root(self) -> None:
        """twistd would fail in the background, and the shell would wait."""
        self.patch(os, "geteuid", lambda: 1000)
        self.patch(os, "getegid", lambda: 1000)
        for name, value in (("uid", 33), ("gid", 33), ("chroot", "/")):
            self.assertEqual(f"twistd --{name} is for root alone", self.complaint(**{name: value}))
        self.prepare(uid=1000, gid=1000)
