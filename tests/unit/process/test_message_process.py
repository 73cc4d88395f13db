"""Tests for :mod:`phpgw.process.message_process`."""

import os
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

import phpgw
from phpgw.process.message_process import MessageProcess, program_command, program_environment
from phpgw.process.messages import Message
from tests.support.fake_workers import WorkersReactor


class ProgramTests(SynchronousTestCase):
    def test_program(self) -> None:
        """It is found where the parent's modules are, and not in the working directory."""
        self.assertEqual(
            [sys.executable, "-P", "-m", "phpgw.workers.main", "2"],
            program_command("workers.main", "2"),
        )
        self.patch(os, "environ", {"PYTHONPATH": "/x", "NOTIFY_SOCKET": "/n", "HOME": "/h"})
        root = Path(phpgw.__file__).parents[1]
        self.assertEqual({"PYTHONPATH": f"{root}:/x", "HOME": "/h"}, program_environment())


class MessageProcessTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor = WorkersReactor()
        self.received: list[Message] = []
        self.ends: list[str] = []
        self.process = MessageProcess(
            self.reactor,
            "Helper",
            lambda process, message: self.received.append(message),
            lambda process, how: self.ends.append(how),
        )
        self.process.spawn(program_command("helper"), {"number": 5}, {"a": 40, "b": 41})
        [self.child] = self.reactor.workers

    def test_job(self) -> None:
        """The job comes first, and says which number each socket has."""
        self.assertEqual({0: 0, 1: 1, 2: 2, 3: "w", 4: "r", 5: 40, 6: 41}, self.child.descriptors)
        job = {"type": "job", "number": 5, "sockets": {"a": 5, "b": 6}}
        self.assertEqual([job], self.child.told)

    def test_stop(self) -> None:
        stopped = self.process.stop_within(5, seconds=4)
        self.assertEqual({"type": "stop", "seconds": 4}, self.child.told[-1])
        self.child.end()
        self.successResultOf(stopped)
        self.assertEqual((["status 0"], []), (self.ends, self.reactor.getDelayedCalls()))

    def test_late_stop(self) -> None:
        """A process that does not end in time is killed."""
        stopped = self.process.stop_within(5)
        self.reactor.advance(5)
        self.successResultOf(stopped)
        self.assertEqual(["signal 9"], self.ends)

    def test_no_messages(self) -> None:
        """A process that sends something else is killed."""
        self.child.tells("hello", a=1)
        self.child.tells_bytes(b"hello\n")
        self.assertEqual([{"type": "hello", "a": 1}], self.received)
        self.assertEqual(["signal 9"], self.ends)
