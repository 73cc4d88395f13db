"""One event on its way to PHP-FPM, and its answer on the way back."""

from collections.abc import Callable

import attrs
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from phpgw.backend.connect_errors import BusyLog
from phpgw.backend.deadlines import Deadlines
from phpgw.backend.errors import (
    BackendBroken,
    BackendError,
    BackendTimeout,
    BackendUnreachable,
    ReplyFlawed,
    ReplyTooLarge,
)
from phpgw.backend.event import Event
from phpgw.backend.fastcgi.cgi import find_head, split_answer
from phpgw.backend.fastcgi.connection import Connection
from phpgw.backend.fastcgi.leftover import Leftover
from phpgw.backend.fastcgi.pool import Pool
from phpgw.backend.fastcgi.records import Decoder
from phpgw.backend.fastcgi.stderr import find_flaw
from phpgw.backend.reply import Follow, Head, Reply
from phpgw.log_limit import line_limit
from phpgw.metrics import Metrics

# How much a reply's headers may add to its body.
_MAX_HEAD = 65536
# How much of what PHP writes to standard error for one event is logged.
_MAX_LOGGED = 4096
# Why PHP did not serve a request: FastCGI specification, section 5.5. None is tried again: our
# connections carry one request at a time, and an overloaded PHP is best left alone.
_REFUSALS = {1: "it does not multiplex", 2: "it is overloaded", 3: "it is not a responder"}


@attrs.frozen
class Terms:
    """What all exchanges of a backend have in common.

    :ivar pool: finds a connection for each.
    :ivar queue: ends those that wait too long for a worker.
    :ivar deadlines: ends those that a worker takes too long for.
    :ivar max_reply_size: bytes that a body may have that is gathered.
    :ivar busy: hears how long events have waited for a worker.
    :ivar now: the time.
    :ivar metrics: has how many wait for a worker.
    """

    pool: Pool
    queue: "Deadlines[Exchange]"
    deadlines: "Deadlines[Exchange]"
    max_reply_size: int
    busy: BusyLog
    now: Callable[[], float]
    metrics: Metrics


class Exchange:
    """One event on its way, and its answer; the answer's :class:`phpgw.backend.reply.Flow`, too.

    :param follow: who is shown the answer while it comes.
    :ivar event: what PHP is told.
    :ivar request: its records.
    :ivar connection: where it was sent, once it was.
    :ivar answer: fires with the reply.
    """

    __slots__ = (
        "_decoder",
        "_flaw",
        "_follow",
        "_head",
        "_is_paused",
        "_log_left",
        "_searched",
        "_take",
        "_terms",
        "_waits_since",
        "answer",
        "connection",
        "event",
        "request",
    )

    log = Logger(observer=line_limit)

    def __init__(self, terms: Terms, event: Event, request: bytes, follow: Follow | None) -> None:
        self.request = request
        self.connection: Connection | None = None
        self.answer: Deferred[Reply] = Deferred(self._cancelled)
        self._terms = terms
        self.event = event
        self._follow = follow
        # Of a reply that is followed: its head, and what takes its body.
        self._head: Head | None = None
        self._take: Callable[[bytes], None] | None = None
        self._is_paused = False
        self._decoder = Decoder(terms.max_reply_size + _MAX_HEAD)
        self._log_left = _MAX_LOGGED
        self._searched = 0
        # Why the reply is worthless, if PHP has said so.
        self._flaw: str | None = None
        # Since when there is no worker for it, if there was none at once.
        self._waits_since: float | None = None

    def taken(self, connection: Connection) -> None:
        """See :class:`phpgw.backend.fastcgi.connection.Ask`."""
        self.connection = connection
        self._terms.deadlines.start(self)
        if self._waits_since is not None:
            self._terms.busy.waited(self._terms.now() - self._waits_since)
            self._stop_waiting()

    def wait(self) -> None:
        """Wait until there is a worker for it, and not for ever."""
        self._waits_since = self._terms.now()
        self._terms.metrics.events_waiting_for_worker_now += 1
        if self._terms.queue.seconds:
            self._terms.queue.start(self)

    def receive(self, data: bytes) -> bool:
        """Take what PHP sent; true once that was all.

        :raises Exception: what is wrong with it, be it for those who follow it.
        """
        decoder = self._decoder
        is_complete = decoder.receive(data)
        if decoder.errors:
            self._hear(decoder.take_errors())
        if self._take is not None:
            self._hand_on(self._take, decoder.take_output())
        elif self._follow is not None and not is_complete:
            self._show_head(self._follow)
        if is_complete:
            assert self.connection is not None
            if decoder.protocol_status or decoder.is_followed:
                self.connection.is_reusable = False
            if self._is_paused:
                self.resume()
        return is_complete

    def complete(self) -> None:
        """Fire the answer with what PHP has sent."""
        try:
            reply = self._reply()
        except BackendError as error:
            self.fail(error)
        else:
            self._terms.deadlines.stop(self)
            self.answer.callback(reply)

    def fail(self, error: Exception) -> None:
        """Fire the answer with an error."""
        self._forget()
        self.answer.errback(error)

    def expire(self) -> None:
        """Its time is over."""
        within = f"{self._terms.deadlines.seconds:g} s (--php-timeout)"
        if self._take is not None:
            problem = f"nothing came in a streamed reply for {within}"
        else:
            problem = f"no answer within {within}"
        assert self.connection is not None
        leftover = Leftover(self._decoder)
        self.connection.leave(leftover)
        self.fail(BackendTimeout(problem, leftover.ended))

    def give_up(self) -> None:
        """Fail, since there was no worker for it in time; the script has not run."""
        self._leave()
        self.fail(self._terms.pool.no_worker(self._terms.queue.seconds))

    def pause(self) -> None:
        """See :class:`phpgw.backend.reply.Flow`."""
        if not self._is_paused and not self.answer.called:
            assert self.connection is not None
            self._is_paused = True
            self._terms.deadlines.stop(self)
            self.connection.pause()

    def hold(self) -> None:
        """See :class:`phpgw.backend.reply.Flow`."""
        self.pause()

    def resume(self) -> None:
        """See :class:`phpgw.backend.reply.Flow`."""
        if self._is_paused and not self.answer.called:
            assert self.connection is not None
            self._is_paused = False
            self._terms.deadlines.start(self)
            self.connection.resume()

    def _cancelled(self, answer: Deferred[Reply]) -> None:
        self._forget()
        self._leave()

    def _forget(self) -> None:
        self._terms.deadlines.stop(self)
        if self._waits_since is not None:
            self._stop_waiting()

    def _stop_waiting(self) -> None:
        self._waits_since = None
        self._terms.queue.stop(self)
        self._terms.metrics.events_waiting_for_worker_now -= 1

    def _leave(self) -> None:
        if self.connection is None:
            self._terms.pool.withdraw(self)
        else:
            self.connection.abort()

    def _show_head(self, follow: Follow) -> None:
        """Show an answer's head, once there is one, to who may want the body as it comes."""
        output = self._decoder.growing_output
        parts = find_head(output, self._searched)
        if parts is None:
            # All but the last byte of the end may be there.
            self._searched = max(0, len(output) - 3)
            if len(output) > _MAX_HEAD:
                raise ReplyTooLarge(f"the head of PHP's reply is larger than {_MAX_HEAD} bytes")
            return
        if self._flaw is not None:
            raise ReplyFlawed(self._flaw)
        self._follow = None
        head, body = parts
        take = follow(head, self)
        if take is not None and not self.answer.called:
            self._head, self._take = head, take
            self._decoder.take_output()
            self._keep_alive()
            self._hand_on(take, body)

    def _hand_on(self, take: Callable[[bytes], None], piece: bytes) -> None:
        if piece:
            self._keep_alive()
            take(piece)

    def _keep_alive(self) -> None:
        if not self._is_paused:
            self._terms.deadlines.start(self)

    def _reply(self) -> Reply:
        status = self._decoder.protocol_status
        if status:
            if status in _REFUSALS and self._head is None and not self._decoder.output:
                raise BackendUnreachable(f"PHP refused the event: {_REFUSALS[status]}")
            raise BackendBroken(f"PHP ended its answer with the protocol status {status}")
        if self._decoder.app_status:
            raise BackendBroken(f"the script ended with status {self._decoder.app_status}")
        if self._flaw is not None:
            raise ReplyFlawed(self._flaw)
        if self._head is not None:
            return Reply(self._head)
        head, body = split_answer(self._decoder.output)
        limit = self._terms.max_reply_size
        if len(body) > limit:
            raise ReplyTooLarge(f"PHP's reply is larger than {limit} bytes (--max-reply-size)")
        return Reply(head, body)

    def _hear(self, errors: bytes) -> None:
        """Take what PHP complains about."""
        self._log(errors)
        if self._flaw is None:
            self._flaw = find_flaw(errors)
            if self._flaw is not None and self._take is not None:
                raise ReplyFlawed(self._flaw)

    def _log(self, errors: bytes) -> None:
        """Log what PHP complains about, line by line."""
        left = self._log_left
        self._log_left -= len(errors)
        for line in errors[: max(left, 0)].splitlines():
            self._warn("{line!r}", line=line.decode("utf-8", "backslashreplace"))
        if self._log_left < 0 <= left:
            self._warn("more than is logged")

    def _warn(self, what: str, **fields: str) -> None:
        client_id = self.event.identity.client_id
        occasion = f"a {self.event.type} event" + (f" of client {client_id}" if client_id else "")
        self.log.warn(
            f"PHP on {{occasion}}: {what}", occasion=occasion, client_id=client_id, **fields
        )
