"""Carries out PHP's replies: sends messages, runs commands, reports failures."""

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from phpgw.backend.errors import BackendError
from phpgw.backend.event import Event
from phpgw.backend.reply import FlowControl, Head, Reply
from phpgw.hub.client import Client
from phpgw.hub.command_parser import LONG_TEXT
from phpgw.hub.commander import Commander, Result
from phpgw.hub.commands import Command
from phpgw.log_limit import line_limit
from phpgw.metrics import Metrics
from phpgw.relay.error_reply import ErrorReply, may_see_errors
from phpgw.relay.errors import ClientDisconnected, UnusableReply
from phpgw.relay.failures import FailureLog
from phpgw.relay.ndjson import CommandStream
from phpgw.relay.php_output import printed_text, readable_output
from phpgw.relay.policy import ReplyPolicy
from phpgw.relay.reply_reader import (
    ReplyReader,
    is_commands,
    is_plain,
    is_stream,
    is_utf8,
    wrong_status,
)
from phpgw.time_slices import JobsStopped, TimeSlices

_INTERNAL_ERROR = 1011
_FOREIGN_PAGE = (
    "PHP failed on this message: the log says why. Pages of other sites are not told, unless "
    "--allow-origin names them."
)


class Replies:
    """Carries out PHP's replies.

    :param slices: reads long replies in time slices.
    :ivar commander: runs the commands of replies.
    :ivar policy: how replies are treated.
    :ivar reader: reads replies.
    :ivar failures: the last failures.
    :ivar wall_time: returns the time of day, in seconds since the epoch.
    """

    log = Logger(observer=line_limit)

    def __init__(
        self,
        commander: Commander,
        slices: TimeSlices,
        policy: ReplyPolicy,
        metrics: Metrics,
        wall_time: Callable[[], float] = time.time,
    ) -> None:
        self.commander = commander
        self.policy = policy
        self.metrics = metrics
        self.reader = ReplyReader(slices, policy, metrics)
        self.failures = FailureLog(wall_time)
        self.wall_time = wall_time
        self._error_reply = ErrorReply(policy.error_reply)

    def run(self, commands: Sequence[Command], sender: Client | None) -> Deferred[None] | None:
        """Run the commands of a reply, in order.

        :param sender: the client that the event is about.
        :returns: fires when they have run; ``None`` if they have run already. They take longer if
            they are for many clients.
        """
        results = self.commander.run_all(commands, sender)
        if isinstance(results, Deferred):
            logged = results.addCallback(partial(self._log_errors, commands, sender))
            return logged.addErrback(_ignore_stop)
        self._log_errors(commands, sender, results)
        return None

    def _log_errors(
        self, commands: Sequence[Command], sender: Client | None, results: Sequence[Result]
    ) -> None:
        """Log the first command that has failed, and how many others; there may be thousands."""
        failed = [n for n, result in enumerate(results) if result.error is not None]
        if failed:
            self.log.info(
                "A {command} of PHP for client {client_id}: {reason}{others}",
                command=type(commands[failed[0]]).__name__,
                client_id=sender.id if sender else None,
                reason=results[failed[0]].error,
                others=f" (and {len(failed) - 1} others)" if len(failed) > 1 else "",
            )

    def report_failure(
        self, subject: str, event: Event, failure: Failure, client: Client | None
    ) -> str:
        """Log that an event has failed, and tell its client as :attr:`policy` says.

        :param subject: the event, for the log.
        :returns: the id under which the log has it: that of the event, unless many share a line.
        """
        self.metrics.php_failures += 1
        error_id = self._log_failure(subject, event, failure)
        self.failures.add(error_id, event, failure)
        if client is None or client.is_disconnected:
            return error_id
        if self.policy.on_error == "reply":
            text = self._error_reply.text(error_id, self.describe(failure, event))
            self.commander.reply(client, text, is_binary=False)
        elif self.policy.on_error == "close":
            reason = f"the message could not be handled (error {error_id})"
            client.connection.close(_INTERNAL_ERROR, reason, "error")
        return error_id

    def describe(self, failure: Failure, event: Event) -> str:
        """Return what the client of an event may know of its failure.

        In production this is an empty text; for developers, it has what PHP has written.
        """
        if not self.policy.shows_errors:
            return ""
        if not may_see_errors(event.identity.handshake):
            return _FOREIGN_PAGE
        text = f"PHP failed on this message: {failure.getErrorMessage()}"
        reply = getattr(failure.value, "reply", None)
        return text if reply is None else f"{text}\n\n{readable_output(reply)}".rstrip()

    def report_cause(self, subject: str, event: Event, failure: Failure) -> None:
        """Log the error that an event had before its client disconnected, if it had one."""
        cause = getattr(failure.value, "cause", None)
        if cause is not None:
            self.report_failure(f"{subject}, which has left", event, Failure(cause), None)

    def _log_failure(self, subject: str, event: Event, failure: Failure) -> str:
        """Log a failure unless that has been done, and return the id that the log has."""
        error, identity = failure.value, event.identity
        if isinstance(error, BackendError) and error.log_id is not None:
            return error.log_id
        fields: dict[str, Any] = {
            "what": subject,
            "event_id": event.id,
            "type": event.type,
            "client_id": identity.client_id or None,
            "user": identity.user,
        }
        if isinstance(error, BackendError):
            self.log.error(
                "PHP failed on {what}: {reason} (error {event_id})",
                reason=failure.getErrorMessage(),
                details=self._printed(failure),
                **fields,
            )
        else:
            self.log.failure("PHP failed on {what} (error {event_id})", failure, **fields)
        return event.id

    def _printed(self, failure: Failure) -> str | None:
        """Return what PHP has printed, for developers; what it has logged is in the log already."""
        reply = getattr(failure.value, "reply", None)
        return printed_text(reply.body) if self.policy.shows_errors and reply else None


class PendingReply:
    """The reply to one event, which PHP has yet to send or is sending.

    :param client: the client that the event is about; ``None`` for other events.
    :param is_binary: whether a plain reply is sent as a binary message.
    :param said: the message that PHP replies to.
    """

    __slots__ = ("_client", "_has_ended", "_is_binary", "_replies", "_said", "_stream")

    def __init__(
        self, replies: Replies, client: Client | None, is_binary: bool = False, said: bytes = b""
    ) -> None:
        self._replies = replies
        self._client = client
        self._is_binary = is_binary
        self._said = said
        self._stream: CommandStream | None = None
        self._has_ended = False

    @property
    def is_streamed(self) -> bool:
        """Return whether the reply is streamed and has not ended."""
        return self._stream is not None and not self._has_ended

    def follow(self, head: Head, flow: FlowControl) -> Callable[[bytes], None] | None:
        """See :data:`phpgw.backend.reply.Follow`."""
        if not is_stream(head):
            return None
        if self._client is not None and self._client.is_disconnected:
            raise ClientDisconnected("the client has left")
        return self._start_stream(head, flow).receive

    def complete(self, reply: Reply) -> Deferred[None] | None:
        """Carry out the reply, or the rest of a streamed one.

        :returns: fires when that is done; ``None`` if it is done already.
        :raises BackendError: if the reply cannot be used.
        """
        self._has_ended = True
        head, client = reply.head, self._client
        if self._stream is None and is_plain(head):
            try:
                self._complete_plain(reply)
            except UnusableReply as error:
                error.reply = reply
                raise
            return None
        if not head.is_success:
            raise wrong_status(reply, self._said)
        if self._stream is None and is_stream(head):
            self._start_stream(head, None).receive(reply.body)
        if self._stream is not None:
            return self._stream.finish()
        reader = self._replies.reader
        if len(reply.body) > LONG_TEXT and is_commands(head):
            reading = reader.read_slowly(reply, client is not None)
            return reading.addCallback(self._run, head)
        commands = reader.read(reply, client is not None)
        self._keep_cookies(head)
        return self._replies.run(commands or (), client)

    def break_off(self) -> Deferred[None] | None:
        """End a reply that has failed, and take no more of it.

        :returns: fires when the commands received so far have run; ``None`` if they have run
            already.
        """
        self._has_ended = True
        return None if self._stream is None else self._stream.when_run()

    def _run(self, commands: list[Command], head: Head) -> Deferred[None] | None:
        """Run the commands of a long reply."""
        self._keep_cookies(head)
        return self._replies.run(commands, self._client)

    def _start_stream(self, head: Head, flow: FlowControl | None) -> CommandStream:
        """Start to run commands as their lines arrive."""
        self._keep_cookies(head)
        self._replies.metrics.replies_streamed += 1
        replies, client = self._replies, self._client
        self._stream = CommandStream(
            lambda commands: replies.run(commands, client), client, replies.policy.max_line, flow
        )
        return self._stream

    def _keep_cookies(self, head: Head) -> None:
        if head.set_cookies and self._client is not None:
            self._client.keep_cookies(head.set_cookies, self._replies.wall_time())

    def _complete_plain(self, reply: Reply) -> None:
        """Send a plain reply to the client as a message."""
        replies, client, body = self._replies, self._client, reply.body
        replies.reader.check(body, self._said)
        if reply.head.set_cookies:
            self._keep_cookies(reply.head)
        if client is None:
            return
        if client.is_disconnected:
            replies.metrics.replies_without_client += 1
            return
        if replies.policy.skip_empty_replies and not body:
            return
        if not self._is_binary and not is_utf8(body):
            raise UnusableReply("PHP answered a text message with bytes that are not UTF-8")
        replies.commander.reply(client, body, self._is_binary)


def _ignore_stop(failure: Failure) -> None:
    """Ignore that the gateway has stopped before all commands had run."""
    failure.trap(JobsStopped)
