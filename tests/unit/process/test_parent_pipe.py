"""Tests for :mod:`phpgw.process.parent_pipe`."""

import os
from typing import Any

from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from phpgw.process import parent_pipe
from phpgw.process.messages import InvalidMessages, Message, encode_message
from phpgw.process.parent_pipe import ParentPipe, read_first_message


class _NotingPipe(ParentPipe):
    """A pipe that notes what the parent says."""

    def __init__(self) -> None:
        self.heard: list[Message] = []

    def obey(self, message: Message) -> None:
        self.heard.append(message)


class ParentPipeTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.exits: list[int] = []
        self.patch(os, "_exit", self.exits.append)
        self.patch(parent_pipe, "StandardIO", self.connect)
        self.transport = StringTransport()
        self.pipe = _NotingPipe()
        self.pipe.open_pipes(Clock())

    def connect(self, protocol: ParentPipe, **opened: Any) -> None:
        """Open the pipes, which are not the standard ones."""
        self.assertEqual((3, 4), (opened["stdin"], opened["stdout"]))
        protocol.makeConnection(self.transport)

    def test_heard(self) -> None:
        """Messages are obeyed in order, however they arrive."""
        stream = encode_message("a") + encode_message("b", n=1) + encode_message("c")
        for data in (stream[:5], stream[5:20], stream[20:]):
            self.pipe.dataReceived(data)
        self.assertEqual(
            [{"type": "a"}, {"type": "b", "n": 1}, {"type": "c"}],
            self.pipe.heard,
        )

    def test_told(self) -> None:
        """The parent gets a line for each message."""
        self.pipe.tell("alive", ready=True)
        self.pipe.tell("stopping")
        self.assertEqual(
            b'{"type":"alive","ready":true}\n{"type":"stopping"}\n', self.transport.value()
        )

    def test_nonsense(self) -> None:
        """What is no message is an error, and what came before it is obeyed."""
        data = encode_message("a") + b"nonsense\n"
        self.assertRaises(InvalidMessages, self.pipe.dataReceived, data)
        self.assertEqual([{"type": "a"}], self.pipe.heard)

    def test_parent_ends(self) -> None:
        """The process ends at once, as if it was killed."""
        self.pipe.connectionLost()
        self.assertEqual([137], self.exits)

    def test_own_end(self) -> None:
        """A process that stops by itself is not cut short when its pipe closes."""
        self.pipe.is_stopping = True
        self.pipe.connectionLost()
        self.assertEqual([], self.exits)


class FirstMessageTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.commands, self.parent_end = os.pipe()
        self.addCleanup(os.close, self.commands)
        self.patch(parent_pipe, "COMMANDS", self.commands)

    def say(self, data: bytes) -> None:
        """Say something as the parent, and close the pipe."""
        os.write(self.parent_end, data)
        os.close(self.parent_end)

    def test_first(self) -> None:
        """The first message alone is read: the others are for the reactor."""
        rest = encode_message("fpm", socket=None)
        self.say(encode_message("job", number=1) + rest)
        self.assertEqual({"type": "job", "number": 1}, read_first_message("a worker"))
        self.assertEqual(rest, os.read(self.commands, 1000))

    def test_no_parent(self) -> None:
        """Who starts the program without a parent is told that this is not meant."""
        self.say(b'{"type":')
        error = self.assertRaises(SystemExit, read_first_message, "a worker")
        self.assertEqual("phpgw: a worker is started by its parent alone", str(error))
