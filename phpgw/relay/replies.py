"""What comes of PHP's answer: a message, commands, or what was agreed for a failure."""

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Self

import attrs
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from phpgw.backend.errors import BackendError
from phpgw.backend.reply import FlowControl, Head, Reply
from phpgw.hub.client import Client
from phpgw.hub.command_parser import LONG_TEXT, parse_commands, parse_in_steps
from phpgw.hub.commander import Commander, Result
from phpgw.hub.commands import Command, InvalidCommand
from phpgw.log_limit import line_limit
from phpgw.metrics import Metrics
from phpgw.relay.errors import ClientDisconnected, UnusableReply, new_error_id
from phpgw.relay.excerpt import LONGEST_EXCERPT, excerpt, first_line
from phpgw.relay.ndjson import Stream
from phpgw.relay.php_errors import find_php_error
from phpgw.relay.plain_reply import find_problem
from phpgw.settings import Settings
from phpgw.time_slices import JobsStopped, TimeSlices

_COMMANDS = b"application/vnd.phpgw+json"
_STREAM = b"application/x-ndjson"

# A body that comes with it is none: RFC 9110, section 15.3.5.
_NO_CONTENT = 204
_TOO_LARGE = (
    "; is the web server's large_client_header_buffers, 8k in Nginx by default, too small for the "
    "cookies and the query?"
)
_REDIRECT = "; redirects are not followed: is the URL complete, and the script exempt from logins?"
_HINTS = {
    **dict.fromkeys((301, 302, 303, 307, 308), _REDIRECT),
    404: "; is that the URL of your script?",
    413: "; is the web server's client_max_body_size, 1m in Nginx by default, too small?",
    414: _TOO_LARGE,
    419: "; is the script exempt from the framework's CSRF protection?",
    431: _TOO_LARGE,
    500: "; PHP's error log says why",
    502: "; does PHP-FPM run, and did it end in the middle of the script?",
    503: "; is the application in maintenance mode?",
    504: "; is the web server's fastcgi_read_timeout (60s in Nginx by default) too short?",
}
# What PHP-FPM and Nginx print has more to tell than the status does.
_PRINTED_HINTS = {
    "File not found.": (
        "; PHP-FPM does not find the script: the path is the one that PHP-FPM sees, and its user "
        "has to be able to read the file and to enter its directories"
    ),
    "Access denied.": "; does security.limit_extensions of PHP-FPM's pool allow the script's name?",
    "400 Request Header Or Cookie Too Large": _TOO_LARGE,
}


def unusable(reply: Reply, said: bytes = b"") -> UnusableReply:
    """Return what to say of a reply with a status that is not 2xx, and what may help.

    :param said: the message that is answered, whose echo does not belong in the log.
    """
    head = reply.head
    printed = excerpt(reply.body, said)
    text = f"PHP answered with status {head.status}"
    for location in head.values(b"location"):
        # The query may have a secret in it.
        text += f" and redirects to {first_line(location.partition(b'?')[0], LONGEST_EXCERPT)}"
    hint = _PRINTED_HINTS.get(first_line(reply.body, LONGEST_EXCERPT))
    text += hint or _HINTS.get(head.status, "")
    return UnusableReply(f'{text} (it begins with "{printed}")' if printed else text)


@attrs.frozen(kw_only=True)
class ReplyPolicy:
    """How replies are treated.

    :ivar on_error: ``ignore``, ``close`` or ``reply``.
    :ivar error_reply: the message under ``reply``, with ``%id%`` for the id in the log.
    :ivar skip_empty_replies: whether an empty reply is sent at all.
    :ivar hide_php_errors: whether a reply is kept back that PHP has printed an error into.
    :ivar max_line: bytes of a line in a streamed reply.
    """

    on_error: str = "ignore"
    error_reply: bytes = b""
    skip_empty_replies: bool = False
    hide_php_errors: bool = True
    max_line: int

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """Return the rules that the settings state."""
        return cls(
            on_error=settings.on_error,
            error_reply=settings.error_reply.encode(),
            skip_empty_replies=settings.skip_empty_replies,
            hide_php_errors=settings.hide_php_errors,
            max_line=settings.max_reply_size,
        )


class Replies:
    """Knows what to do with replies.

    :param slices: reads long replies.
    :ivar commander: carries out what PHP replies.
    :ivar policy: how replies are treated.
    :ivar wall_time: tells the time of day, in seconds since the epoch.
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
        self._slices = slices
        self.policy = policy
        self.metrics = metrics
        self.wall_time = wall_time

    def read(self, reply: Reply, has_sender: bool, said: bytes = b"") -> list[Command] | None:
        """The commands in a reply that is not streamed; ``None`` if it is a plain message.

        :param said: the message that is answered.
        :raises UnusableReply: if there is something wrong with it.
        """
        if reply.head.status == _NO_CONTENT:
            return []
        if reply.head.media_type != _COMMANDS:
            self.check(reply.body, said)
            return None
        try:
            return parse_commands(reply.body, has_sender)
        except InvalidCommand as error:
            self._search(reply.body)
            raise UnusableReply(f"PHP's reply has an invalid command: {error}") from None

    def read_later(self, reply: Reply, client: Client | None) -> Deferred[list[Command]]:
        """Read the commands of a long reply.

        :returns: fails with an :exc:`UnusableReply` if there is something wrong with it.
        """
        reading = self._slices.run(parse_in_steps(reply.body, client is not None))
        return reading.addErrback(self._refuse, reply.body)

    def _refuse(self, failure: Failure, body: bytes) -> list[Command]:
        if failure.check(JobsStopped):
            raise UnusableReply("the gateway has stopped before PHP's reply was read") from None
        failure.trap(InvalidCommand)
        self._search(body)
        raise UnusableReply(f"PHP's reply has an invalid command: {failure.value}") from None

    def check(self, body: bytes, said: bytes = b"") -> None:
        """See that a browser may be shown a body.

        :raises UnusableReply: if PHP has printed an error into it, or it is PHP's source, or
            commands.
        """
        if self.policy.hide_php_errors:
            self._search(body, said)
        problem = find_problem(body, said)
        if problem is not None:
            self.metrics.replies_not_for_browsers += 1
            raise UnusableReply(f"PHP's reply is not meant for a browser: {problem}")

    def _search(self, body: bytes, said: bytes = b"") -> None:
        php_error = find_php_error(body, said)
        if php_error is not None:
            self.metrics.replies_with_php_errors += 1
            raise UnusableReply(f"PHP has printed an error into its reply: {php_error.line}")

    def run(self, commands: Sequence[Command], sender: Client | None) -> Deferred[None] | None:
        """Carry out commands of a reply, in order.

        :returns: fires once that is done, if they are for so many clients that it takes a while.
        """
        results = self.commander.run_all(commands, sender)
        if isinstance(results, Deferred):
            logged = results.addCallback(partial(self._log_misses, commands, sender))
            return logged.addErrback(_ignore_the_end)
        self._log_misses(commands, sender, results)
        return None

    def _log_misses(
        self, commands: Sequence[Command], sender: Client | None, results: Sequence[Result]
    ) -> None:
        """Log the first command that did not reach all that it named; there may be thousands."""
        missed = [n for n, result in enumerate(results) if result.error is not None]
        if missed:
            self.log.info(
                "A {command} of PHP for client {client_id}: {reason}{others}",
                command=type(commands[missed[0]]).__name__,
                client_id=sender.id if sender else None,
                reason=results[missed[0]].error,
                others=f" (and {len(missed) - 1} others)" if len(missed) > 1 else "",
            )

    def failed(self, what: str, failure: Failure, client: Client | None) -> str:
        """Log that something is not answered, and let its client know as agreed.

        :param what: what is not, for the log.
        :returns: the id under which the log has it.
        """
        self.metrics.php_failures += 1
        error_id = self._log_failure(what, failure)
        if client is None or client.is_disconnected:
            return error_id
        if self.policy.on_error == "reply":
            text = self.policy.error_reply.replace(b"%id%", error_id.encode())
            self.commander.reply(client, text, is_binary=False)
        elif self.policy.on_error == "close":
            reason = f"the message could not be handled (error {error_id})"
            client.connection.close(1011, reason)
        return error_id

    def left(self, what: str, failure: Failure) -> None:
        """Log what had gone wrong with something before its client left, if anything had."""
        cause = getattr(failure.value, "cause", None)
        if cause is not None:
            self.failed(f"{what}, which has left", Failure(cause), None)

    def _log_failure(self, what: str, failure: Failure) -> str:
        error = failure.value
        if not isinstance(error, BackendError):
            error_id = new_error_id()
            self.log.failure(
                "PHP failed on {what} (error {error_id})", failure, what=what, error_id=error_id
            )
            return error_id
        if error.error_id is not None:
            return error.error_id
        error_id = new_error_id()
        self.log.error(
            "PHP failed on {what}: {reason} (error {error_id})",
            what=what,
            reason=failure.getErrorMessage(),
            error_id=error_id,
        )
        return error_id


class PendingReply:
    """The answer to one event.

    :param client: whom the event is about, if it is about one.
    :param is_binary: whether a plain reply is a binary message.
    :param said: the message that is answered, if it is one.
    :ivar is_streamed: whether it comes line by line, and more of it may come.
    """

    __slots__ = ("_client", "_is_binary", "_is_over", "_replies", "_said", "_stream")

    def __init__(
        self, replies: Replies, client: Client | None, is_binary: bool = False, said: bytes = b""
    ) -> None:
        self._replies = replies
        self._client = client
        self._is_binary = is_binary
        self._said = said
        self._stream: Stream | None = None
        self._is_over = False

    @property
    def is_streamed(self) -> bool:
        return self._stream is not None and not self._is_over

    def follow(self, head: Head, flow: FlowControl) -> Callable[[bytes], None] | None:
        """See :data:`phpgw.backend.reply.Follow`."""
        if not is_stream(head):
            return None
        if self._client is not None and self._client.is_disconnected:
            raise ClientDisconnected("the client has left")
        return self._begin_stream(head, flow).receive

    def complete(self, reply: Reply) -> Deferred[None] | None:
        """Do what the reply says, as far as that has not been done.

        :returns: fires once it is done, if it takes a while.
        :raises BackendError: if it makes no sense.
        """
        self._is_over = True
        head, client = reply.head, self._client
        if not head.is_success:
            raise unusable(reply, self._said)
        if self._stream is None and is_stream(head):
            self._begin_stream(head, None).receive(reply.body)
        if self._stream is not None:
            return self._stream.finish()
        if head.media_type == _COMMANDS and len(reply.body) > LONG_TEXT:
            return self._replies.read_later(reply, client).addCallback(self._run_later, head)
        commands = self._replies.read(reply, client is not None, self._said)
        self._keep_cookies(head)
        if commands is not None:
            return self._replies.run(commands, client)
        if client is not None:
            self._send(client, reply)
        return None

    def break_off(self) -> Deferred[None] | None:
        """Take no more of it.

        :returns: fires once the commands in what came of it are run, if that takes a while.
        """
        self._is_over = True
        return None if self._stream is None else self._stream.when_run()

    def _run_later(self, commands: list[Command], head: Head) -> Deferred[None] | None:
        self._keep_cookies(head)
        return self._replies.run(commands, self._client)

    def _begin_stream(self, head: Head, flow: FlowControl | None) -> Stream:
        self._keep_cookies(head)
        self._replies.metrics.replies_streamed += 1
        replies, client = self._replies, self._client
        self._stream = Stream(
            lambda commands: replies.run(commands, client), client, replies.policy.max_line, flow
        )
        return self._stream

    def _keep_cookies(self, head: Head) -> None:
        if head.set_cookies and self._client is not None:
            self._client.keep_cookies(head.set_cookies, self._replies.wall_time())

    def _send(self, client: Client, reply: Reply) -> None:
        if client.is_disconnected:
            self._replies.metrics.replies_without_client += 1
            return
        body = reply.body
        if self._replies.policy.skip_empty_replies and not body:
            return
        if not self._is_binary and not is_utf8(body):
            raise UnusableReply("PHP answered a text message with bytes that are not UTF-8")
        self._replies.commander.reply(client, body, self._is_binary)


def _ignore_the_end(failure: Failure) -> None:
    """Let commands be that the gateway's end has interrupted."""
    failure.trap(JobsStopped)


def is_stream(head: Head) -> bool:
    """Whether the body is commands, a line each."""
    return head.media_type == _STREAM and head.is_success and head.status != _NO_CONTENT


def is_utf8(payload: bytes) -> bool:
    """Whether it may be sent as text: RFC 6455, section 8.1."""
    if payload.isascii():
        return True
    try:
        payload.decode()
    except UnicodeDecodeError:
        return False
    return True
