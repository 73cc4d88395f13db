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
from phpgw.backend.receiver import Cancellable, ReplyReceiver
from phpgw.backend.reply import Head, Reply
from phpgw.deadlines import Deadlines


@attrs.frozen
class HttpContext:
    """The context of all exchanges of a backend.

    :ivar deadlines: ends exchanges that take too long.
    :ivar max_reply_size: bytes that a body may have, unless it is streamed.
    :ivar explain: returns the failure for the receiver in place of what ended a connection.
    :ivar active: the exchanges that have not ended.
    """

    deadlines: "Deadlines[HttpExchange]"
    max_reply_size: int
    explain: Callable[[Failure], Failure]
    active: "set[HttpExchange]" = attrs.field(factory=set)


class SentFlag(Interface):
    """Tells whether a request was sent.

    :ivar is_sent: whether it was written to a connection.
    """

    is_sent: bool


class HttpExchange(Protocol):
    """One event that is sent to a web server, and its reply.

    It is the protocol to which the response's body is delivered, unless all of it has come with
    the head, and the :class:`phpgw.backend.reply.FlowControl` of a streamed reply.

    :param receiver: receives the outcome.
    :param body: that of a request whose connection shows when the script has ended, also after its
        timeout; ``None`` for one whose connection is closed at its timeout.
    :ivar request: the request, until there is a response.
    """

    transport: Any

    # Most events need none of these; as defaults of the class they take no time.
    request: Cancellable | None = None
    _head: Head | None = None
    # One buffer, since many small pieces would each take more memory than their content.
    _body: bytearray
    # Fires once a script has ended that has timed out.
    _script_end: Deferred[None] | None = None
    # What consumes the body of a streamed reply.
    _consume: Callable[[bytes], None] | None = None
    _is_paused = False
    _has_timed_out = False

    def __init__(
        self, context: HttpContext, receiver: ReplyReceiver, body: SentFlag | None = None
    ) -> None:
        self._context = context
        # None once it has the outcome, so that there is no reference cycle.
        self._receiver: ReplyReceiver | None = receiver
        self._request_body = body

    def begin(self) -> None:
        """Wait for the response."""
        self._context.active.add(self)
        self._context.deadlines.start(self)

    def cancel(self) -> None:
        """See :class:`phpgw.backend.receiver.Cancellable`."""
        self._fail(CancelledError())

    def expire(self) -> None:
        """Fail with a timeout, and wait for the end of the script if that will show."""
        within = f"{self._context.deadlines.seconds:g} s (--php-timeout)"
        if self._consume is None:
            problem = f"no complete answer within {within}"
        else:
            problem = f"nothing came in a streamed reply for {within}"
        if self.request is not None:
            if self._request_body is not None and self._request_body.is_sent:
                self._await_script_end(problem)
                return
            self._has_timed_out = True
            # The way in which it fails shows how far it got.
            self.request.cancel()
        self._fail(BackendTimeout(problem))

    def stop(self) -> None:
        """Fail, since the gateway stops."""
        if self._script_end is not None:
            self._disconnect()
        self._fail(BackendBroken("the gateway stopped before PHP replied"))

    def pause(self) -> None:
        """See :class:`phpgw.backend.reply.FlowControl`."""
        if not self._is_paused and self._receiver is not None:
            self._is_paused = True
            self._context.deadlines.stop(self)
            self.transport.pauseProducing()

    def hold(self) -> None:
        """See :class:`phpgw.backend.reply.FlowControl`."""
        self.pause()

    def resume(self) -> None:
        """See :class:`phpgw.backend.reply.FlowControl`."""
        if self._is_paused and self._receiver is not None:
            self._is_paused = False
            self._context.deadlines.start(self)
            self.transport.resumeProducing()

    def connectionMade(self) -> None:
        """Call the follower with the head, before the body."""
        self._body = bytearray()
        follow = self._receiver.follow if self._receiver is not None else None
        if follow is not None:
            assert self._head is not None
            try:
                self._consume = follow(self._head, self)
            except Exception:
                self._fail(Failure())
            else:
                self._restart_deadline()

    def dataReceived(self, data: bytes) -> None:
        """Receive a piece of the body."""
        if self._receiver is None:
            return
        if self._consume is None:
            self._body += data
            self._check_size(len(self._body))
            return
        self._restart_deadline()
        try:
            self._consume(data)
        except Exception:
            self._fail(Failure())

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Hand on the reply at the end of the body."""
        if isinstance(reason.value, ResponseDone):
            self._complete(bytes(self._body))
        else:
            self._fail(reason)

    # phpgw.backend.http.agent.ResponseReceiver

    def responded(self, response: HttpResponse) -> None:
        self.request = None
        if self._script_end is not None:
            response.loseConnection()
            self._script_ended()
            return
        self._head = response.head
        body = response.body
        if body is not None and len(body) <= self._context.max_reply_size:
            self._complete(body)
            return
        response.deliverBody(self)
        if self._consume is None and isinstance(response.length, int):
            self._check_size(response.length)

    def unanswered(self, reason: Failure) -> None:
        self.request = None
        if self._script_end is not None:
            self._script_ended()
        elif not self._has_timed_out:
            self._fail(reason)
        elif reason.check(CancelledError, ConnectingCancelledError):
            # Nothing was sent: a request that was sent fails with another error.
            within = f"{self._context.deadlines.seconds:g} s (--php-timeout)"
            self._fail(ConnectError(string=f"nothing answers there within {within}"))

    def _restart_deadline(self) -> None:
        """Restart the deadline of a streamed reply."""
        if self._consume is not None and not self._is_paused and self._receiver is not None:
            self._context.deadlines.start(self)

    def _check_size(self, size: int) -> None:
        """Fail if the body of a reply that is not streamed has, or will have, a size above max."""
        limit = self._context.max_reply_size
        if size > limit:
            self._fail(
                ReplyTooLarge(f"PHP's reply is larger than {limit} bytes (--max-reply-size)")
            )

    def _await_script_end(self, problem: str) -> None:
        """Fail with a timeout, and keep the connection until the script has ended.

        The script holds a worker until then, and a web server tells that in no other way.
        """
        self._context.deadlines.stop(self)
        ended: Deferred[None] = Deferred(lambda _: self._disconnect())
        self._script_end = ended
        receiver, self._receiver = self._receiver, None
        assert receiver is not None
        receiver.failed(Failure(BackendTimeout(problem, ended)))

    def _script_ended(self) -> None:
        """Fire the end of a script that has timed out."""
        ended, self._script_end = self._script_end, None
        self._end()
        if ended is not None and not ended.called:
            ended.callback(None)

    def _complete(self, body: bytes) -> None:
        """Hand on the reply."""
        receiver, self._receiver = self._receiver, None
        if receiver is not None:
            assert self._head is not None
            self._end()
            receiver.replied(Reply(self._head, body))

    def _fail(self, problem: Failure | Exception) -> None:
        """Hand on a failure, and give up the connection."""
        receiver, self._receiver = self._receiver, None
        if receiver is not None:
            self._disconnect()
            failure = problem if isinstance(problem, Failure) else Failure(problem)
            receiver.failed(self._context.explain(failure))

    def _disconnect(self) -> None:
        self._end()
        if self.request is not None:
            self.request.cancel()
        elif self.transport is not None:
            self.transport.loseConnection()

    def _end(self) -> None:
        self._context.deadlines.stop(self)
        self._context.active.discard(self)
