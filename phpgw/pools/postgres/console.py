"""The console of PgBouncer: commands, and tables as their answers.

It speaks the protocol of PostgreSQL, of which this is as much as the console needs (PostgreSQL,
"Message Flow" and "Message Formats").
"""

import struct
from collections import deque
from typing import Any

from twisted.internet.defer import Deferred, fail
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure

from phpgw.pools.postgres.config import CONSOLE_DATABASE, CONSOLE_USER

_VERSION = 0x30000
_HEAD = struct.Struct("!ci")
# A longer message is none of the console.
_MAX_MESSAGE = 1_000_000
_PASSWORD_WANTED = 3

Table = list[dict[str, str]]
"""The rows of an answer, by the names of the columns."""


class ConsoleError(Exception):
    """The console cannot be used, or has refused a command; the text says why."""


class PgBouncerConsole(Protocol):
    """A connection to the console.

    :param password: that of the console's user.
    """

    transport: Any = None

    def __init__(self, password: str) -> None:
        self._password = password
        self._buffer = bytearray()
        self._columns: list[str] = []
        self._rows: Table = []
        self._error: str | None = None
        self._end: str | None = None
        # The first one is that of the login.
        self._pending: deque[Deferred[Table]] = deque([Deferred()])
        self._logged_in = self._pending[0]

    def when_logged_in(self) -> Deferred[Table]:
        """Return a Deferred that fires once commands are accepted.

        It fails with :exc:`ConsoleError`.
        """
        return self._logged_in

    def ask(self, command: str) -> Deferred[Table]:
        """Send a command.

        :returns: fires with its table; fails with :exc:`ConsoleError`.
        """
        if self._end is not None:
            return fail(ConsoleError(self._end))
        answered: Deferred[Table] = Deferred()
        self._pending.append(answered)
        self._send(b"Q", _text(command))
        return answered

    def close(self) -> None:
        """Close the connection."""
        self._end_with("it was closed")

    def connectionMade(self) -> None:
        """Log in."""
        words = ("user", CONSOLE_USER, "database", CONSOLE_DATABASE)
        body = struct.pack("!i", _VERSION) + b"".join(map(_text, words)) + b"\0"
        self.transport.write(struct.pack("!i", len(body) + 4) + body)

    def dataReceived(self, data: bytes) -> None:
        """Take all messages that are complete."""
        self._buffer += data
        position = 0
        while len(self._buffer) - position >= _HEAD.size and self._end is None:
            kind, length = _HEAD.unpack_from(self._buffer, position)
            if not 4 <= length <= _MAX_MESSAGE:
                self._end_with("it does not speak the protocol of PostgreSQL")
                return
            end = position + 1 + length
            if end > len(self._buffer):
                break
            body = bytes(self._buffer[position + _HEAD.size : end])
            position = end
            try:
                self._take(kind, body)
            except (struct.error, ValueError, IndexError):
                self._end_with("it has sent what cannot be read")
                return
        del self._buffer[:position]

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Fail what is pending."""
        self._end_with("it was closed")

    def _take(self, kind: bytes, body: bytes) -> None:
        if kind == b"R":
            (wanted,) = struct.unpack_from("!i", body)
            if wanted == _PASSWORD_WANTED:
                self._send(b"p", _text(self._password))
            elif wanted:
                raise ValueError("no such login")
        elif kind == b"T":
            self._columns = _read_columns(body)
        elif kind == b"D":
            self._rows.append(dict(zip(self._columns, _read_row(body), strict=True)))
        elif kind == b"E":
            self._error = _read_error(body)
            if not self._logged_in.called:
                self._end_with(self._error)
        elif kind == b"Z":
            self._answer()

    def _answer(self) -> None:
        rows, error = self._rows, self._error
        self._columns, self._rows, self._error = [], [], None
        answered = self._pending.popleft()
        if error is None:
            answered.callback(rows)
        else:
            answered.errback(ConsoleError(error))

    def _end_with(self, reason: str) -> None:
        if self._end is not None:
            return
        self._end = reason
        self.transport.loseConnection()
        pending, self._pending = self._pending, deque()
        for answered in pending:
            answered.errback(ConsoleError(reason))

    def _send(self, kind: bytes, body: bytes) -> None:
        self.transport.write(_HEAD.pack(kind, len(body) + 4) + body)


def _text(text: str) -> bytes:
    return text.encode() + b"\0"


def _read_columns(body: bytes) -> list[str]:
    """Return the names in a RowDescription."""
    (count,) = struct.unpack_from("!h", body)
    names, position = [], 2
    for _ in range(count):
        end = body.index(0, position)
        names.append(body[position:end].decode("utf-8", "replace"))
        # Behind the name: table, column, type, its length and modifier, and the format.
        position = end + 1 + 18
    return names


def _read_row(body: bytes) -> list[str]:
    """Return the values in a DataRow; NULL is an empty text."""
    (count,) = struct.unpack_from("!h", body)
    values, position = [], 2
    for _ in range(count):
        (length,) = struct.unpack_from("!i", body, position)
        position += 4
        size = max(length, 0)
        values.append(body[position : position + size].decode("utf-8", "replace"))
        position += size
    return values


def _read_error(body: bytes) -> str:
    """Return the message in an ErrorResponse."""
    for field in body.split(b"\0"):
        if field[:1] == b"M":
            return field[1:].decode("utf-8", "replace")
    return "an error without a text"
