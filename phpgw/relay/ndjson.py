"""Streamed replies in the format NDJSON (``application/x-ndjson``): a command per line."""

from collections.abc import Callable, Sequence

from twisted.internet.defer import Deferred, fail
from twisted.python.failure import Failure

from phpgw.backend.reply import FlowControl
from phpgw.hub.client import Client
from phpgw.hub.command_parser import parse_command
from phpgw.hub.commands import Command, InvalidCommand
from phpgw.relay.errors import UnusableReply
from phpgw.relay.php_errors import find_php_error


class CommandStream:
    """Runs the commands of a streamed reply as their lines arrive.

    While the client reads too slowly, no more is read from PHP, which then waits in ``flush()``. So
    a reply may be longer than the outbox of a connection.

    The commands of all lines in one piece of data run together. While they run, no more is read
    either; data that still arrives is kept.

    :param run: runs commands; returns a Deferred if that takes longer.
    :param client: the client that the event is about; ``None`` for other events.
    :param limit: how many bytes a line may have.
    :param flow: the flow control of the reply; ``None`` for a reply that is complete.
    """

    def __init__(
        self,
        run: Callable[[Sequence[Command]], Deferred[None] | None],
        client: Client | None,
        limit: int,
        flow: FlowControl | None = None,
    ) -> None:
        self._run = run
        self._client = client
        self._limit = limit
        self._flow = flow
        self._line_number = 0
        # The incomplete last line; a list of many small pieces would take more memory.
        self._rest = bytearray()
        # Commands that have yet to run.
        self._commands: list[Command] = []
        self._is_running = False
        self._failure: Failure | None = None
        self._waiters: list[Deferred[None]] = []

    def receive(self, data: bytes) -> None:
        """Take data that PHP has flushed.

        :raises UnusableReply: if a line is invalid; the commands before it run.
        """
        *lines, rest = data.split(b"\n")
        try:
            for line in lines:
                self._add(line)
                self._end_line()
            self._add(rest)
        finally:
            self._run_waiting()
        if self._flow is not None:
            if self._is_running:
                self._flow.hold()
            elif self._is_congested(self._flow):
                self._flow.pause()

    def finish(self) -> Deferred[None] | None:
        """Run the last line of the reply, which may lack its line feed.

        :returns: see :meth:`when_run`.
        :raises UnusableReply: if it is invalid.
        """
        # The reply is complete, so there is no flow to pause.
        self._flow = None
        try:
            self._end_line()
        finally:
            self._run_waiting()
        return self.when_run()

    def when_run(self) -> Deferred[None] | None:
        """Return a Deferred that fires when all lines so far have run; ``None`` if they have."""
        if self._failure is not None:
            return fail(self._failure)
        if not self._is_running:
            return None
        waiter: Deferred[None] = Deferred()
        self._waiters.append(waiter)
        return waiter

    def _run_waiting(self) -> None:
        """Run the commands that wait, unless others run."""
        if self._is_running or not self._commands:
            return
        commands, self._commands = self._commands, []
        running = self._run(commands)
        if running is not None:
            self._is_running = True
            running.addCallbacks(self._ran, self._failed)

    def _ran(self, outcome: None) -> None:
        """Go on after commands have run: with those that wait, or with reading."""
        self._is_running = False
        self._run_waiting()
        if self._is_running:
            return
        if self._flow is not None:
            if self._is_congested(self._flow):
                self._flow.pause()
            else:
                self._flow.resume()
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            waiter.callback(self._failure)

    def _failed(self, failure: Failure) -> None:
        """Keep the failure for the end of the reply, and drop the commands that wait."""
        self._failure = failure
        self._commands.clear()
        self._ran(None)

    def _is_congested(self, flow: FlowControl) -> bool:
        """Return whether the client reads too slowly; if so, resume the flow when it has read."""
        return self._client is not None and self._client.connection.when_writable(flow.resume)

    def _end_line(self) -> None:
        """Parse the line that is complete now."""
        self._line_number += 1
        line = bytes(self._rest).strip()
        self._rest.clear()
        if not line:
            return
        try:
            command = parse_command(line, has_sender=self._client is not None)
        except InvalidCommand as error:
            problem = f"line {self._line_number} of PHP's reply: {error}{_hint(line)}"
            raise UnusableReply(problem) from None
        self._commands.append(command)

    def _add(self, piece: bytes) -> None:
        """Append a piece to the line that is incomplete."""
        if len(self._rest) + len(piece) > self._limit:
            raise UnusableReply(
                f"line {self._line_number + 1} of PHP's reply is larger than {self._limit} bytes "
                "(--max-reply-size)"
            )
        self._rest += piece


def _hint(line: bytes) -> str:
    """Return what to add to the error if PHP itself has printed an invalid line."""
    if line == b"<br />":
        return "; PHP prints its errors there (display_errors)"
    php_error = find_php_error(line)
    return f"; PHP has printed an error there: {php_error.line}" if php_error is not None else ""
