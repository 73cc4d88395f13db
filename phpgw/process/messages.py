"""The messages between two processes of the gateway: a JSON object on each line of a pipe.

A rolling restart puts workers with new code below a parent with the old one. So a message of a type
that is not known is ignored, and so is a field.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

Message = Mapping[str, Any]

COMMANDS, REPORTS = 3, 4
"""The descriptors of a child's pipes, from and to its parent."""

# Bytes of a line. The longest are about metrics, with about 100 KB.
_MAX_LINE = 16 * 1024**2
_encode = json.JSONEncoder(separators=(",", ":")).encode


class InvalidMessages(Exception):
    """The other end has sent something else than messages."""


def encode_message(kind: str, **fields: Any) -> bytes:
    """Return the line of a message.

    :param kind: its type.
    """
    return f"{_encode({'type': kind, **fields})}\n".encode()


class MessageReader:
    """Reads messages from the pieces of a stream."""

    def __init__(self) -> None:
        self._received = bytearray()

    def feed(self, data: bytes) -> Iterator[Message]:
        """Yield the messages that are complete with this piece.

        :raises InvalidMessages: if they cannot be read.
        """
        self._received += data
        if b"\n" not in data:
            if len(self._received) > _MAX_LINE:
                raise InvalidMessages("a line without an end")
            return
        *lines, rest = self._received.split(b"\n")
        self._received = rest
        for line in lines:
            try:
                message = json.loads(line)
            except ValueError as error:
                raise InvalidMessages(str(error)) from None
            if not isinstance(message, dict):
                raise InvalidMessages("no object")
            yield message
