"""One event on its way to a web server, and its answer on the way back."""

from collections.abc import Callable
from typing import Any
from typing import Protocol as Interface

import attrs
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectError, ConnectingCancelledError, ConnectionAborted
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web.client import ResponseDone
from twisted.web.http import PotentialDataLoss
from twisted.web.iweb import IResponse

from phpgw.backend.deadlines import Deadlines
from phpgw.backend.errors import BackendBroken, BackendTimeout, ReplyTooLarge
from phpgw.backend.reply import Follow, Head, Reply


@attrs.frozen
class Terms:
    """What all exchanges of a backend have in common.

    :ivar deadlines: ends those that take too long.
    :ivar max_reply_size: bytes that a body may have that is gathered.
    :ivar under_way: those that have not ended.
    """

    deadlines: "Deadlines[Exchange]"
    max_reply_size: int
    under_way: "set[Exchange]" = attrs.field(factory=set)


class Request(Interface):
    """A request's body.

    :ivar is_sent: whether it was written to a connection.
    """

    is_sent: bool


class Exchange(Protocol):
    """What an answer's body is delivered to; the answer's :class:`phpgw.backend.reply.Flow`, too.

    :param follow: who is shown the answer while it comes.
    :param request: a request whose connection tells when the script has ended, if its time is over
        before that; ``None`` for one that is left then.
    :ivar answer: fires with the reply, or fails with whatever went wrong.
    """

    transport: Any

    def __init__(self, terms: Terms, follow: Follow | None, request: Request | None = None) -> None:
        self.answer: Deferred[Reply] = Deferred(lambda _: self._leave())
        self._terms = terms
        self._follow = follow
        self._request = request
        # Fires once a script has ended whose time is over.
        self._ended: Deferred[None] | None = None
        self._responding: Deferred[IResponse] | None = None
        self._head: Head | None = None
        # What takes the body, if it is followed.
        self._take: Callable[[bytes], None] | None = None
        self._is_paused = False
        self._is_over = False
        self._is_late = False
        # Many small pieces would each take more than what is in them.
        self._body = bytearray()

    def begin(self, responding: Deferred[IResponse]) -> None:
        """Wait for the response.

        :param responding: fires with it, once its head is there.
        """
        self._terms.under_way.add(self)
        self._terms.deadlines.start(self)
        self._responding = responding
        responding.addCallback(self._responded).addErrback(self._has_failed)

    def expire(self) -> None:
        """Its time is over."""
        within = f"{self._terms.deadlines.seconds:g} s (--php-timeout)"
        if self._take is None:
            problem = f"no complete answer within {within}"
        else:
            problem = f"nothing came in a streamed reply for {within}"
        if self._responding is not None and self._request is not None and self._request.is_sent:
            self._await_end(problem)
            return
        self._is_late = True
        if self._responding is not None:
            # How it fails tells how far it had come.
            self._responding.cancel()
        self._fail(BackendTimeout(problem))

    def stop(self) -> None:
        """The gateway ends."""
        if self._ended is not None:
            self._leave()
        self._fail(BackendBroken("the gateway stopped before PHP answered"))

    def pause(self) -> None:
        """See :class:`phpgw.backend.reply.Flow`."""
        if not self._is_paused and not self._is_over:
            self._is_paused = True
            self._terms.deadlines.stop(self)
            self.transport.pauseProducing()

    def hold(self) -> None:
        """See :class:`phpgw.backend.reply.Flow`."""
        self.pause()

    def resume(self) -> None:
        """See :class:`phpgw.backend.reply.Flow`."""
        if self._is_paused and not self._is_over:
            self._is_paused = False
            self._terms.deadlines.start(self)
            self.transport.resumeProducing()

    def connectionMade(self) -> None:
        if self._follow is not None and not self._is_over:
            assert self._head is not None
            self._take = self._follow(self._head, self)
            self._keep_alive()

    def dataReceived(self, data: bytes) -> None:
        if not self._is_over:
            self._receive(data)
        if self._is_over:
            # Twisted would read on otherwise, and use the connection again.
            raise ConnectionAborted

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        # Without a length, as from PHP's built-in server, the connection's end is the body's.
        if not reason.check(ResponseDone, PotentialDataLoss):
            self._fail(reason)
        elif not self._is_over:
            assert self._head is not None
            self._end()
            self.answer.callback(Reply(self._head, bytes(self._body)))

    def _responded(self, response: IResponse) -> None:
        self._responding = None
        self._head = _head(response)
        response.deliverBody(self)
        if self._ended is not None:
            self._leave()
            self._has_ended()
        if self._is_over:
            return
        if self._is_paused:
            # It was let go on.
            self.transport.pauseProducing()
        if self._take is None and isinstance(response.length, int):
            self._expect(response.length)

    def _receive(self, data: bytes) -> None:
        if self._take is None:
            self._body += data
            self._expect(len(self._body))
            return
        self._keep_alive()
        try:
            self._take(data)
        except Exception:
            self._fail(Failure())

    def _keep_alive(self) -> None:
        if self._take is not None and not self._is_paused and not self._is_over:
            self._terms.deadlines.start(self)

    def _expect(self, size: int) -> None:
        """A body that is gathered has this size, or is going to have it."""
        limit = self._terms.max_reply_size
        if size > limit:
            self._fail(
                ReplyTooLarge(f"PHP's reply is larger than {limit} bytes (--max-reply-size)")
            )

    def _await_end(self, problem: str) -> None:
        """Give the answer up, and keep the connection until the script has ended.

        It holds a worker until then, which a web server would not tell of otherwise.
        """
        self._is_over = True
        self._terms.deadlines.stop(self)
        ended: Deferred[None] = Deferred(lambda _: self._leave())
        self._ended = ended
        self.answer.errback(BackendTimeout(problem, ended))

    def _has_ended(self) -> None:
        """The script has ended whose time was over."""
        ended, self._ended = self._ended, None
        self._end()
        if ended is not None and not ended.called:
            ended.callback(None)

    def _has_failed(self, failure: Failure) -> None:
        if self._ended is not None:
            self._has_ended()
        elif not self._is_late:
            self._fail(failure)
        elif failure.check(CancelledError, ConnectingCancelledError):
            # Nothing was sent, since a request that was would have failed in another way.
            within = f"{self._terms.deadlines.seconds:g} s (--php-timeout)"
            self._fail(ConnectError(string=f"nothing answers there within {within}"))

    def _fail(self, problem: Failure | Exception) -> None:
        if not self._is_over:
            self._leave()
            self.answer.errback(problem)

    def _leave(self) -> None:
        self._end()
        if self._responding is not None:
            self._responding.cancel()
        elif self.transport is not None:
            self.transport.loseConnection()

    def _end(self) -> None:
        self._is_over = True
        self._terms.deadlines.stop(self)
        self._terms.under_way.discard(self)


def _head(response: IResponse) -> Head:
    headers = (
        (name.lower(), value)
        for name, values in response.headers.getAllRawHeaders()
        for value in values
    )
    # treq leaves an empty header where there was none.
    return Head(response.code, tuple(h for h in headers if h != (b"content-encoding", b"")))
