"""One event that is sent to a web server, and its reply."""

from collections.abc import Callable
from typing import Any
from typing import Protocol as Interface

import attrs
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectError, ConnectingCancelledError
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web.client import ResponseDone

from phpgw.backend.errors import BackendBroken, BackendTimeout, ReplyTooLarge
from phpgw.backend.http.response import HttpResponse
from phpgw.backend.reply import Follow, Head, Reply
from phpgw.deadlines import Deadlines


@attrs.frozen
class HttpContext:
    """The context of all exchanges of a backend.

    :ivar deadlines: ends exchanges that take too long.
    :ivar max_reply_size: bytes that a body may have, unless it is streamed.
    :ivar active: the exchanges that have not ended.
    """

    deadlines: "Deadlines[HttpExchange]"
    max_reply_size: int
    active: "set[HttpExchange]" = attrs.field(factory=set)


class SentFlag(Interface):
    """Tells whether a request was sent.

    :ivar is_sent: whether it was written to a connection.
    """

    is_sent: bool


class HttpExchange(Protocol):
    """One event that is sent to a web server, and its reply.

    It is the protocol to which the response's body is delivered, and the
    :class:`phpgw.backend.reply.FlowControl` of a streamed reply.

    :param follow: see :data:`phpgw.backend.reply.Follow`.
    :param request: a request whose connection shows when the script has ended, also after its
        timeout; ``None`` for one whose connection is closed at its timeout.
    :ivar reply: fires with the reply, or fails with what went wrong.
    """

    transport: Any

    def __init__(
        self, context: HttpContext, follow: Follow | None, request: SentFlag | None = None
    ) -> None:
        self.reply: Deferred[Reply] = Deferred(lambda _: self._disconnect())
        self._context = context
        self._follow = follow
        self._request = request
        # Fires once a script has ended that has timed out.
        self._script_end: Deferred[None] | None = None
        self._responding: Deferred[Any] | None = None
        self._head: Head | None = None
        # What consumes the body of a streamed reply.
        self._consume: Callable[[bytes], None] | None = None
        self._is_paused = False
        self._is_over = False
        self._has_timed_out = False
        # One buffer, since many small pieces would each take more memory than their content.
        self._body = bytearray()

    def begin(self, responding: Deferred[Any]) -> None:
        """Wait for the response.

        :param responding: fires with treq's response, once its head is complete.
        """
        self._context.active.add(self)
        self._context.deadlines.start(self)
        self._responding = responding
        responding.addCallback(self._responded).addErrback(self._failed)

    def expire(self) -> None:
        """Fail the reply with a timeout, and wait for the end of the script if that will show."""
        within = f"{self._context.deadlines.seconds:g} s (--php-timeout)"
        if self._consume is None:
            problem = f"no complete answer within {within}"
        else:
            problem = f"nothing came in a streamed reply for {within}"
        if self._responding is not None and self._request is not None and self._request.is_sent:
            self._await_script_end(problem)
            return
        self._has_timed_out = True
        if self._responding is not None:
            # The way in which it fails shows how far it got.
            self._responding.cancel()
        self._fail(BackendTimeout(problem))

    def stop(self) -> None:
        """Fail the reply, since the gateway stops."""
        if self._script_end is not None:
            self._disconnect()
        self._fail(BackendBroken("the gateway stopped before PHP replied"))

    def pause(self) -> None:
        """See :class:`phpgw.backend.reply.FlowControl`."""
        if not self._is_paused and not self._is_over:
            self._is_paused = True
            self._context.deadlines.stop(self)
            self.transport.pauseProducing()

    def hold(self) -> None:
        """See :class:`phpgw.backend.reply.FlowControl`."""
        self.pause()

    def resume(self) -> None:
        """See :class:`phpgw.backend.reply.FlowControl`."""
        if self._is_paused and not self._is_over:
            self._is_paused = False
            self._context.deadlines.start(self)
            self.transport.resumeProducing()

    def connectionMade(self) -> None:
        """Call the follower with the head, before the body."""
        if self._follow is not None and not self._is_over:
            assert self._head is not None
            self._consume = self._follow(self._head, self)
            self._restart_deadline()

    def dataReceived(self, data: bytes) -> None:
        """Receive a piece of the body."""
        if not self._is_over:
            self._receive(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Fire the reply at the end of the body."""
        if not isinstance(reason.value, ResponseDone):
            self._fail(reason)
        elif not self._is_over:
            assert self._head is not None
            self._end()
            self.reply.callback(Reply(self._head, bytes(self._body)))

    def _responded(self, treq_response: Any) -> None:
        self._responding = None
        # The agent's own: treq's gets each attribute from it, in a call.
        response: HttpResponse = treq_response.original
        self._head = response.head
        response.deliverBody(self)
        if self._script_end is not None:
            self._disconnect()
            self._script_ended()
        if self._is_over:
            return
        if self._consume is None and isinstance(response.length, int):
            self._check_size(response.length)

    def _receive(self, data: bytes) -> None:
        if self._consume is None:
            self._body += data
            self._check_size(len(self._body))
            return
        self._restart_deadline()
        try:
            self._consume(data)
        except Exception:
            self._fail(Failure())

    def _restart_deadline(self) -> None:
        """Restart the deadline of a streamed reply."""
        if self._consume is not None and not self._is_paused and not self._is_over:
            self._context.deadlines.start(self)

    def _check_size(self, size: int) -> None:
        """Fail if the body of a reply that is not streamed has, or will have, a size above max."""
        limit = self._context.max_reply_size
        if size > limit:
            self._fail(
                ReplyTooLarge(f"PHP's reply is larger than {limit} bytes (--max-reply-size)")
            )

    def _await_script_end(self, problem: str) -> None:
        """Fail the reply with a timeout, and keep the connection until the script has ended.

        The script holds a worker until then, and a web server tells that in no other way.
        """
        self._is_over = True
        self._context.deadlines.stop(self)
        ended: Deferred[None] = Deferred(lambda _: self._disconnect())
        self._script_end = ended
        self.reply.errback(BackendTimeout(problem, ended))

    def _script_ended(self) -> None:
        """Fire the end of a script that has timed out."""
        ended, self._script_end = self._script_end, None
        self._end()
        if ended is not None and not ended.called:
            ended.callback(None)

    def _failed(self, failure: Failure) -> None:
        if self._script_end is not None:
            self._script_ended()
        elif not self._has_timed_out:
            self._fail(failure)
        elif failure.check(CancelledError, ConnectingCancelledError):
            # Nothing was sent: a request that was sent fails with another error.
            within = f"{self._context.deadlines.seconds:g} s (--php-timeout)"
            self._fail(ConnectError(string=f"nothing answers there within {within}"))

    def _fail(self, problem: Failure | Exception) -> None:
        if not self._is_over:
            self._disconnect()
            self.reply.errback(problem)

    def _disconnect(self) -> None:
        self._end()
        if self._responding is not None:
            self._responding.cancel()
        elif self.transport is not None:
            self.transport.loseConnection()

    def _end(self) -> None:
        self._is_over = True
        self._context.deadlines.stop(self)
        self._context.active.discard(self)
