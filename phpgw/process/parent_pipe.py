"""The pipes to the parent, in a program that exchanges messages with it."""

import os
import sys
from abc import ABC, abstractmethod
from typing import Any

from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.stdio import StandardIO
from twisted.python.failure import Failure

from phpgw.process.messages import COMMANDS, REPORTS, Message, MessageReader, encode_message

# As of a process that was killed.
_ORPHAN_STATUS = 137


class ParentPipe(Protocol, ABC):
    """Obeys the messages of the parent. Without a parent, the process ends at once.

    :ivar is_stopping: whether the end of the pipe is the reactor's end, and not the parent's.
    """

    is_stopping = False
    _reader: MessageReader

    def open_pipes(self, reactor: Any) -> None:
        """Begin to read messages."""
        self._reader = MessageReader()
        # Its types are those of the one for Windows.
        open_pipes: Any = StandardIO
        open_pipes(self, stdin=COMMANDS, stdout=REPORTS, reactor=reactor)

    @abstractmethod
    def obey(self, message: Message) -> None:
        """Carry out what a message says."""

    def tell(self, kind: str, **fields: Any) -> None:
        """Send the parent a message."""
        transport: Any = self.transport
        transport.write(encode_message(kind, **fields))

    def dataReceived(self, data: bytes) -> None:
        """Carry out what the parent says."""
        for message in self._reader.feed(data):
            self.obey(message)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """End the process, unless it is the reactor's end that closes the pipe."""
        if not self.is_stopping:
            os._exit(_ORPHAN_STATUS)


def read_first_message(name: str) -> Message:
    """Return the first message of the parent, and read nothing of the others.

    :param name: what this program is, for whoever starts it without a parent.
    :raises SystemExit: if there is no parent.
    """
    reader = MessageReader()
    while True:
        received = os.read(COMMANDS, 1)
        if not received:
            sys.exit(f"phpgw: {name} is started by its parent alone")
        for message in reader.feed(received):
            return message
