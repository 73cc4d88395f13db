"""Tests for :mod:`phpgw.process.log_file`, with log rotation."""

import os
from pathlib import Path

from twisted.application.service import Application, Service
from twisted.logger import ILogObserver, Logger, LogPublisher, textFileLogObserver
from twisted.trial.unittest import SynchronousTestCase

from phpgw.process.log_file import LogObserverService, ReopenableLogFile


class LogFileTests(SynchronousTestCase):
    def setUp(self) -> None:
        directory = Path(self.mktemp()).absolute()
        directory.mkdir()
        self.path, self.moved = directory / "log", directory / "log.1"
        self.file = ReopenableLogFile(self.path, textFileLogObserver)
        publisher = LogPublisher()
        self.say = Logger(observer=publisher).info
        self.patch(ReopenableLogFile, "log", Logger(observer=publisher))
        self.publisher = publisher

    def open(self) -> None:
        """Open the log as twistd does."""
        application = Application("phpgw")
        service = LogObserverService(self.file.open)
        Service().setServiceParent(service)
        service.setServiceParent(application)
        self.publisher.addObserver(application.getComponent(ILogObserver))

    def test_nothing_before(self) -> None:
        """A start that fails leaves no file."""
        self.file.reopen()
        self.assertFalse(self.path.exists())

    def test_moved(self) -> None:
        """logrotate moves the file, several times."""
        self.open()
        self.say("one")
        for number in range(3):
            self.path.rename(self.moved)
            self.say("late")
            self.file.reopen()
            self.say("number {number}", number=number)
            self.assertIn("late", self.moved.read_text())
            self.assertIn(f"number {number}", self.path.read_text())
            self.assertNotIn("late", self.path.read_text())

    def test_cut_off(self) -> None:
        """logrotate truncates the file with copytruncate, without a signal."""
        self.open()
        self.say("before")
        for _ in range(2):
            self.path.write_bytes(b"")
            self.say("after")
            self.assertRegex(self.path.read_text(), r"\A[^\0]*after\n\Z")
            self.path.rename(self.moved)
            self.file.reopen()

    def test_pipe_in_its_place(self) -> None:
        """A pipe does not block, whether it is read or not."""
        self.open()
        self.path.rename(self.moved)
        os.mkfifo(self.path)
        self.file.reopen()
        reading = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK)
        self.addCleanup(os.close, reading)
        self.file.reopen()
        self.say("still here")
        text = self.moved.read_text()
        self.assertEqual(2, text.count("The log goes on in the file that was open"))
        self.assertIn("still here", text)

    def test_no_new_one(self) -> None:
        """The log stays in the old file, with a line that says why."""
        self.open()
        self.path.rename(self.moved)
        self.path.mkdir()
        self.file.reopen()
        self.say("still here")
        text = self.moved.read_text()
        self.assertIn("The log goes on in the file that was open", text)
        self.assertIn("still here", text)
