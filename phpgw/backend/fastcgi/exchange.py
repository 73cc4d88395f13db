"""One event that is sent to PHP-FPM, and its reply."""

from collections.abc import Callable

import attrs
from twisted.internet.defer import CancelledError
from twisted.logger import Logger
from twisted.python.failure import Failure

from phpgw.backend.errors import (
    BackendBroken,
    BackendError,
    BackendTimeout,
    BackendUnreachable,
    PhpErrorReported,
    ReplyTooLarge,
)
from phpgw.backend.event import Event
from phpgw.backend.fastcgi.abandoned import AbandonedRequest
from phpgw.backend.fastcgi.cgi import find_head, split_response
from phpgw.backend.fastcgi.connection import FastCgiConnection
from phpgw.backend.fastcgi.pool import FastCgiPool
from phpgw.backend.fastcgi.records import FastCgiDecoder
from phpgw.backend.fastcgi.short_reply import parse_short_reply
from phpgw.backend.fastcgi.stderr import find_reported_error
from phpgw.backend.fastcgi.worker_shortage import WorkerShortageLog
from phpgw.backend.receiver import ReplyReceiver
from phpgw.backend.reply import Head, Reply
from phpgw.deadlines import Deadlines
from phpgw.log_limit import line_limit
from phpgw.metrics import Metrics

# The maximum size of a reply's headers, in bytes.
_MAX_HEAD = 65536
# How many bytes of standard error are logged for one event, and how many lines of what comes at
# once.
_MAX_LOGGED = 4096
_MAX_LINES = 50
# Why PHP did not serve a request: FastCGI specification, section 5.5. There is no retry: our
# connections carry one request at a time, and more requests do not help an overloaded PHP.
_REFUSALS = {1: "it does not multiplex", 2: "it is overloaded", 3: "it is not a responder"}


@attrs.frozen
class FastCgiContext:
    """The context of all exchanges of a backend.

    :ivar pool: finds a connection for each.
    :ivar queue: ends exchanges that wait too long for a worker.
    :ivar deadlines: ends exchanges for which PHP takes too long.
    :ivar max_reply_size: bytes that a body may have, unless it is streamed.
    :ivar shortage: is told how long events have waited for a worker.
    :ivar now: returns the time.
    :ivar metrics: has the number of events that wait for a worker.
    """

    pool: FastCgiPool
    queue: "Deadlines[FastCgiExchange]"
    deadlines: "Deadlines[FastCgiExchange]"
    max_reply_size: int
    shortage: WorkerShortageLog
    now: Callable[[], float]
    metrics: Metrics


class FastCgiExchange:
    """One event that is sent to PHP-FPM, and its reply.

    It is a :class:`phpgw.backend.fastcgi.connection.FastCgiRequest`, and the
    :class:`phpgw.backend.reply.FlowControl` of a streamed reply.

    :param receiver: receives the outcome.
    :ivar event: the event.
    :ivar data: its records.
    """

    log = Logger(observer=line_limit)

    # Where the event was sent. Most events need none of these; as defaults of the class they take
    # no time.
    connection: FastCgiConnection | None = None
    # The reply, if it came as a whole.
    _short_reply: Reply | None = None
    # Whether the follower has seen the head.
    _is_head_shown = False
    # Of a streamed reply: its head, and what consumes its body.
    _head: Head | None = None
    _consume: Callable[[bytes], None] | None = None
    _is_paused = False
    _decoder: FastCgiDecoder | None = None
    # What PHP has written to standard error, up to _MAX_LOGGED, and how much more may come.
    _errors = b""
    _log_left = _MAX_LOGGED
    # How many bytes certainly do not contain the end of the head.
    _searched = 0
    # What PHP has reported on standard error that makes the reply worthless.
    _reported_error: str | None = None
    # Since when the event waits for a worker, if there was none at once.
    _waits_since: float | None = None

    def __init__(
        self, context: FastCgiContext, event: Event, data: bytes, receiver: ReplyReceiver
    ) -> None:
        self.data = data
        self._context = context
        self.event = event
        # None once it has the outcome, so that there is no reference cycle.
        self._receiver: ReplyReceiver | None = receiver

    @property
    def has_ended(self) -> bool:
        """Return whether the receiver has the outcome."""
        return self._receiver is None

    def sent(self, connection: FastCgiConnection) -> None:
        """See :meth:`phpgw.backend.fastcgi.connection.FastCgiRequest.sent`."""
        self.connection = connection
        self._context.deadlines.start(self)
        if self._waits_since is not None:
            self._context.shortage.waited(self._context.now() - self._waits_since)
            self._stop_waiting()

    def wait(self) -> None:
        """Begin to wait for a worker, with a timeout."""
        self._waits_since = self._context.now()
        self._context.metrics.events_waiting_for_worker_now += 1
        if self._context.queue.seconds:
            self._context.queue.start(self)

    def receive(self, data: bytes) -> bool:
        """See :meth:`phpgw.backend.fastcgi.connection.FastCgiRequest.receive`."""
        decoder = self._decoder
        if decoder is None:
            self._short_reply = parse_short_reply(data, self._context.max_reply_size)
            if self._short_reply is not None:
                return True
            decoder = self._decoder = self._new_decoder()
        is_complete = decoder.receive(data)
        if decoder.errors:
            self._receive_errors(decoder.take_errors())
        if self._consume is not None:
            self._hand_on(self._consume, decoder.take_output())
        elif not self._is_head_shown and not is_complete:
            self._show_head(decoder)
        if is_complete:
            assert self.connection is not None
            if decoder.protocol_status or decoder.is_followed:
                self.connection.is_reusable = False
            if self._is_paused:
                self.resume()
        return is_complete

    def complete(self) -> None:
        """Hand on the reply."""
        try:
            reply = self._short_reply or self._make_reply()
        except BackendError as error:
            self.fail(error)
        else:
            self._context.deadlines.stop(self)
            receiver, self._receiver = self._receiver, None
            if receiver is not None:
                receiver.replied(reply)

    def fail(self, error: Exception) -> None:
        """Hand on a failure."""
        self._stop_deadlines()
        receiver, self._receiver = self._receiver, None
        if receiver is not None:
            receiver.failed(Failure(error))

    def cancel(self) -> None:
        """See :class:`phpgw.backend.receiver.Cancellable`."""
        if self._receiver is not None:
            self._withdraw()
            self.fail(CancelledError())

    def expire(self) -> None:
        """Fail with a timeout, and wait for the end of the script."""
        within = f"{self._context.deadlines.seconds:g} s (--php-timeout)"
        if self._consume is not None:
            problem = f"nothing came in a streamed reply for {within}"
        else:
            problem = f"no answer within {within}"
        assert self.connection is not None
        abandoned = AbandonedRequest(self._decoder or self._new_decoder())
        self.connection.abandon(abandoned)
        self.fail(BackendTimeout(problem, abandoned.ended))

    def expire_in_queue(self) -> None:
        """Fail, since there was no worker in time; the script has not run."""
        self._withdraw()
        self.fail(self._context.pool.no_worker_error(self._context.queue.seconds))

    def pause(self) -> None:
        """See :class:`phpgw.backend.reply.FlowControl`."""
        if not self._is_paused and self._receiver is not None:
            assert self.connection is not None
            self._is_paused = True
            self._context.deadlines.stop(self)
            self.connection.pause()

    def hold(self) -> None:
        """See :class:`phpgw.backend.reply.FlowControl`."""
        self.pause()

    def resume(self) -> None:
        """See :class:`phpgw.backend.reply.FlowControl`."""
        if self._is_paused and self._receiver is not None:
            assert self.connection is not None
            self._is_paused = False
            self._context.deadlines.start(self)
            self.connection.resume()

    def _stop_deadlines(self) -> None:
        self._context.deadlines.stop(self)
        if self._waits_since is not None:
            self._stop_waiting()

    def _stop_waiting(self) -> None:
        self._waits_since = None
        self._context.queue.stop(self)
        self._context.metrics.events_waiting_for_worker_now -= 1

    def _withdraw(self) -> None:
        """Take the event back if it was not sent, and close its connection otherwise."""
        if self.connection is None:
            self._context.pool.withdraw(self)
        else:
            self.connection.abort()

    def _new_decoder(self) -> FastCgiDecoder:
        return FastCgiDecoder(self._context.max_reply_size + _MAX_HEAD)

    def _show_head(self, decoder: FastCgiDecoder) -> None:
        """Call the follower once the head is complete, and stream the body if it wants that."""
        follow = self._receiver.follow if self._receiver is not None else None
        if follow is None:
            self._is_head_shown = True
            return
        output = decoder.growing_output
        parts = find_head(output, self._searched)
        if parts is None:
            # All but the last byte of the head's end may be there.
            self._searched = max(0, len(output) - 3)
            if len(output) > _MAX_HEAD:
                raise ReplyTooLarge(f"the head of PHP's reply is larger than {_MAX_HEAD} bytes")
            return
        if self._reported_error is not None:
            raise PhpErrorReported(self._reported_error)
        self._is_head_shown = True
        head, body = parts
        consume = follow(head, self)
        if consume is not None and self._receiver is not None:
            self._head, self._consume = head, consume
            decoder.take_output()
            self._restart_deadline()
            self._hand_on(consume, body)

    def _hand_on(self, consume: Callable[[bytes], None], piece: bytes) -> None:
        if piece:
            self._restart_deadline()
            consume(piece)

    def _restart_deadline(self) -> None:
        if not self._is_paused:
            self._context.deadlines.start(self)

    def _make_reply(self) -> Reply:
        """Return the complete reply.

        :raises BackendError: if it is unusable.
        """
        decoder = self._decoder
        assert decoder is not None
        status = decoder.protocol_status
        if status:
            if status in _REFUSALS and self._head is None and not decoder.output:
                raise BackendUnreachable(f"PHP refused the event: {_REFUSALS[status]}")
            raise BackendBroken(f"PHP ended its reply with the protocol status {status}")
        if decoder.app_status:
            raise BackendBroken(f"the script ended with status {decoder.app_status}")
        if self._reported_error is not None:
            raise PhpErrorReported(self._reported_error)
        if self._head is not None:
            return Reply(self._head, errors=self._errors)
        head, body = split_response(decoder.output)
        limit = self._context.max_reply_size
        if len(body) > limit:
            raise ReplyTooLarge(f"PHP's reply is larger than {limit} bytes (--max-reply-size)")
        return Reply(head, body, self._errors)

    def _receive_errors(self, errors: bytes) -> None:
        """Log what PHP writes to standard error, and look for what makes the reply worthless.

        :raises PhpErrorReported: if a reply that is being streamed turns out to be worthless.
        """
        self._log(errors)
        if self._reported_error is None:
            self._reported_error = find_reported_error(errors)
            if self._reported_error is not None and self._consume is not None:
                raise PhpErrorReported(self._reported_error)

    def _log(self, errors: bytes) -> None:
        """Log standard error, up to a limit: its first line, and the others below it."""
        left = self._log_left
        self._log_left -= len(errors)
        logged = errors[: max(left, 0)]
        self._errors += logged
        lines = [each for each in logged.decode("utf-8", "backslashreplace").splitlines() if each]
        if lines:
            self._warn("{line!r}", line=lines[0], details="\n".join(lines[1:_MAX_LINES]))
        if self._log_left < 0 <= left:
            self._warn("more than is logged")

    def _warn(self, what: str, **fields: str) -> None:
        event = self.event
        client_id = event.identity.client_id
        self.log.warn(
            f"PHP on {{occasion}}: {what}",
            occasion=f"a {event.type} event" + (f" of client {client_id}" if client_id else ""),
            event_id=event.id,
            type=event.type,
            client_id=client_id or None,
            **fields,
        )
