"""A reply that comes line by line, each line a command (``application/x-ndjson``)."""

from collections.abc import Callable, Sequence

from twisted.internet.defer import Deferred, fail
from twisted.python.failure import Failure

from phpgw.backend.reply import FlowControl
from phpgw.hub.client import Client
from phpgw.hub.command_parser import parse_command
from phpgw.hub.commands import Command, InvalidCommand
from phpgw.relay.errors import UnusableReply
from phpgw.relay.php_errors import find_php_error


class Stream:
    """Runs commands as their lines arrive.

    While the client is slow to take what it is sent, no more is read from PHP, which then waits in
    ``flush()``: so a reply may be longer than an outbox, and memory.

    The lines of one piece are run together. Where that takes a while, no more is read, either, and
    what comes in spite of that waits.

    :param run: runs commands; may return what fires once it has.
    :param client: who is being answered; ``None`` if nobody is.
    :param limit: bytes that a line may have.
    :param flow: what holds PHP up, where the reply is still on its way.
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
        # Many small pieces would each take more than what is in them.
        self._rest = bytearray()
        # Those that are to be run.
        self._commands: list[Command] = []
        self._is_running = False
        self._failure: Failure | None = None
        self._waiters: list[Deferred[None]] = []

    def receive(self, data: bytes) -> None:
        """Take what PHP has flushed.

        :raises UnusableReply: if a line in it makes no sense; those before it are run.
        """
        *lines, rest = data.split(b"\n")
        try:
            for line in lines:
                self._add(line)
                self._end_line()
            self._add(rest)
        finally:
            self._go_on()
        if self._flow is not None:
            if self._is_running:
                self._flow.hold()
            elif self._is_congested(self._flow):
                self._flow.pause()

    def finish(self) -> Deferred[None] | None:
        """Run the reply's last line, which need not have an end.

        :returns: see :meth:`when_run`.
        :raises UnusableReply: if it makes no sense.
        """
        # There is nothing to be held up any longer.
        self._flow = None
        try:
            self._end_line()
        finally:
            self._go_on()
        return self.when_run()

    def when_run(self) -> Deferred[None] | None:
        """Return what fires once all lines so far have been run; ``None`` if they have been."""
        if self._failure is not None:
            return fail(self._failure)
        if not self._is_running:
            return None
        waiter: Deferred[None] = Deferred()
        self._waiters.append(waiter)
        return waiter

    def _go_on(self) -> None:
        """Run what waits, unless something is being run."""
        if self._is_running or not self._commands:
            return
        commands, self._commands = self._commands, []
        running = self._run(commands)
        if running is not None:
            self._is_running = True
            running.addCallbacks(self._ran, self._failed)

    def _ran(self, outcome: None) -> None:
        self._is_running = False
        self._go_on()
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
        self._failure = failure
        self._commands.clear()
        self._ran(None)

    def _is_congested(self, flow: FlowControl) -> bool:
        """Return whether the client is slow; the flow is resumed once it is not, then."""
        return self._client is not None and self._client.connection.when_writable(flow.resume)

    def _end_line(self) -> None:
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
        if len(self._rest) + len(piece) > self._limit:
            raise UnusableReply(
                f"line {self._line_number + 1} of PHP's reply is larger than {self._limit} bytes "
                "(--max-reply-size)"
            )
        self._rest += piece


def _hint(line: bytes) -> str:
    """What a line is that is no command, if PHP itself has printed it."""
    if line == b"<br />":
        return "; PHP prints its errors there (display_errors)"
    php_error = find_php_error(line)
    return f"; PHP has printed an error there: {php_error.line}" if php_error is not None else ""
