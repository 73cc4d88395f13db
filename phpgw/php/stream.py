"""A reply that comes line by line, each line a command (``application/x-ndjson``)."""

from collections.abc import Callable

from phpgw.backend import BackendError, Flow
from phpgw.client import Client
from phpgw.commands import Command, InvalidCommand, parse_command
from phpgw.php.mishaps import find_mishap


class UnusableLine(BackendError):
    """A streamed reply has something in it that is no command; what follows is not looked at."""


class Stream:
    """Runs commands as their lines arrive.

    While the client is slow to take what it is sent, no more is read from PHP, which then waits in
    ``flush()``: so a reply may be longer than an outbox, and memory.

    :param run: runs a command.
    :param client: who is being answered; ``None`` if nobody is.
    :param limit: bytes that a line may have.
    :param flow: what holds PHP up, where the reply is still on its way.
    """

    def __init__(
        self,
        run: Callable[[Command], object],
        client: Client | None,
        limit: int,
        flow: Flow | None = None,
    ) -> None:
        self._run = run
        self._client = client
        self._limit = limit
        self._flow = flow
        self._line_number = 0
        self._rest: list[bytes] = []
        self._rest_size = 0

    def receive(self, data: bytes) -> None:
        """Take what PHP has flushed.

        :raises UnusableLine: if a line in it makes no sense; those before it have been run.
        """
        *lines, rest = data.split(b"\n")
        for line in lines:
            self._add(line)
            self.finish()
        self._add(rest)
        if (
            self._flow is not None
            and self._client is not None
            and self._client.connection.when_writable(self._flow.resume)
        ):
            self._flow.pause()

    def finish(self) -> None:
        """A line is complete, or the reply, whose last line need not have an end.

        :raises UnusableLine: if it makes no sense.
        """
        self._line_number += 1
        line = b"".join(self._rest).strip()
        self._rest.clear()
        self._rest_size = 0
        if not line:
            return
        try:
            command = parse_command(line, has_sender=self._client is not None)
        except InvalidCommand as error:
            problem = f"line {self._line_number} of PHP's reply: {error}{_hint(line)}"
            raise UnusableLine(problem) from None
        self._run(command)

    def _add(self, piece: bytes) -> None:
        self._rest_size += len(piece)
        if self._rest_size > self._limit:
            raise UnusableLine(
                f"line {self._line_number + 1} of PHP's reply is larger than {self._limit} bytes"
            )
        self._rest.append(piece)


def _hint(line: bytes) -> str:
    """What a line is that is no command, if PHP itself has printed it."""
    if line == b"<br />":
        return "; PHP prints its errors there (display_errors)"
    mishap = find_mishap(line)
    return f"; PHP has printed an error there: {mishap.line}" if mishap is not None else ""
