"""Calls the backend, with retries, behind the circuit breaker."""

from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure

from phpgw.backend.errors import BackendUnreachable
from phpgw.backend.event import Event
from phpgw.backend.interface import IBackend
from phpgw.backend.receiver import Cancellable, DeferredReply, ReplyReceiver
from phpgw.backend.reply import FlowControl, Follow, Head, Reply
from phpgw.log_limit import line_limit
from phpgw.metrics import Metrics
from phpgw.relay.breaker import Breaker, CircuitOpen, Ticket
from phpgw.relay.errors import ClientDisconnected

# Seconds between the attempts to reach PHP. An event that has reached PHP is not sent again.
_RETRY_DELAYS = (0.1, 0.2, 0.4, 0.8)
# An attempt may take long; there is no other after this many seconds.
_MAX_RETRY_SECONDS = 5.0


def _always() -> bool:
    return True


class Receiver(ReplyReceiver, Protocol):
    """Receives the outcome of an event, after all attempts to reach PHP.

    :ivar is_wanted: called before the event is sent again. If it returns false, the event fails
        with a :exc:`phpgw.relay.errors.ClientDisconnected` instead.
    """

    @property
    def is_wanted(self) -> Callable[[], bool]: ...

    def replied(self, reply: Reply) -> Deferred[None] | None:
        """Receive the reply.

        :returns: fires when all is done, and can be cancelled until then; ``None`` if it is done.
        """

    def failed(self, failure: Failure) -> Deferred[None] | None:
        """Receive the failure of the event; see :meth:`replied`."""


@attrs.frozen
class _SendContext:
    """The context of all events that are sent."""

    reactor: IReactorTime
    backend: IBackend
    breaker: Breaker
    metrics: Metrics


class RetryingBackend:
    """Calls the backend, with retries, behind the circuit breaker."""

    def __init__(
        self, reactor: IReactorTime, backend: IBackend, breaker: Breaker, metrics: Metrics
    ) -> None:
        self._backend = backend
        self._breaker = breaker
        self._context = _SendContext(reactor, backend, breaker, metrics)

    @property
    def is_away(self) -> bool:
        """Return whether the circuit breaker is open: PHP has not replied recently."""
        return self._breaker.is_open

    @property
    def last_seen_at(self) -> float:
        """Return when an event has last shown that PHP is there, in reactor seconds."""
        return self._breaker.last_seen_at

    def obstacle(self) -> str | None:
        """Return why PHP would not be asked now; ``None`` if it would."""
        return self._breaker.obstacle()

    def withdraw(self, client_id: str) -> None:
        """See :meth:`phpgw.backend.interface.IBackend.withdraw`."""
        self._backend.withdraw(client_id)

    def probe(self) -> Deferred[None]:
        """See :meth:`~phpgw.backend.interface.IBackend.probe`; ignores the circuit breaker."""
        probed: Deferred[None] = self._backend.probe()
        return probed

    def ask(
        self,
        event: Event,
        follow: Follow | None = None,
        is_wanted: Callable[[], bool] = _always,
    ) -> Deferred[Any]:
        """Do the same as :meth:`send`, with the reply in a Deferred; it can be cancelled."""
        receiver = _DeferredReply(follow, is_wanted)
        receiver.sent = self.send(event, receiver)
        return receiver.reply

    def send(self, event: Event, receiver: Receiver) -> Cancellable:
        """Call the backend's ``send``. Retry for up to 1.5 s while PHP is unreachable.

        :returns: can be cancelled until the receiver is done.
        """
        context = self._context
        sending = _Sending(context, receiver)
        try:
            sending.ticket = context.breaker.enter(event)
        except CircuitOpen as error:
            sending.refuse(error)
            return sending
        context.metrics.php_requests += 1
        context.metrics.php_requests_now += 1
        try:
            sending.sent = context.backend.send(event, sending)
        except Exception:
            sending.failed(Failure())
        return sending


class _Sending:
    """An event on its way to PHP, which receives the outcome of each attempt to send it.

    No Deferred is made for an event that is sent once, and whose reply is carried out at once.

    :ivar ticket: the breaker's.
    :ivar sent: the first attempt.
    """

    __slots__ = ("_context", "_ending", "_receiver", "sent", "ticket")

    log = Logger(observer=line_limit)
    ticket: Ticket

    def __init__(self, context: _SendContext, receiver: Receiver) -> None:
        self._context = context
        # None once it has the outcome, so that there is no reference cycle.
        self._receiver: Receiver | None = receiver
        self.sent: Cancellable | None = None
        # What is under way after the first attempt: the others, or what the receiver does.
        self._ending: Cancellable | None = None

    def cancel(self) -> None:
        """See :class:`phpgw.backend.receiver.Cancellable`."""
        under_way = self._ending or self.sent
        if under_way is not None:
            under_way.cancel()

    def refuse(self, error: CircuitOpen) -> None:
        """Hand on that the breaker is open."""
        self._hand_on(Failure(error))

    # phpgw.backend.receiver.ReplyReceiver

    @property
    def follow(self) -> Follow | None:
        follow = None if self._receiver is None else self._receiver.follow
        if follow is not None and self._context.breaker.is_open:
            return partial(self._follow, follow)
        return follow

    def replied(self, reply: Reply) -> None:
        context = self._context
        context.metrics.php_requests_now -= 1
        context.breaker.leave(self.ticket, reply)
        receiver, self._receiver = self._receiver, None
        assert receiver is not None
        try:
            self._ending = receiver.replied(reply)
        except Exception:
            self.log.failure("A reply could not be carried out as it should be")

    def failed(self, failure: Failure) -> None:
        """Retry if PHP was unreachable."""
        if not isinstance(failure.value, BackendUnreachable):
            self._give_up(failure)
            return
        self._ending = retrying = Deferred.fromCoroutine(self._retry(failure.value))
        retrying.addCallbacks(self.replied, self._give_up)

    def _give_up(self, failure: Failure) -> None:
        self._context.metrics.php_requests_now -= 1
        self._context.breaker.leave(self.ticket, failure)
        self._hand_on(failure)

    def _hand_on(self, failure: Failure) -> None:
        """Hand a failure to the receiver."""
        receiver, self._receiver = self._receiver, None
        assert receiver is not None
        try:
            self._ending = receiver.failed(failure)
        except Exception:
            self.log.failure("A failure could not be handled as it should be")

    def _follow(
        self, follow: Follow, head: Head, flow: FlowControl
    ) -> Callable[[bytes], None] | None:
        """Tell the circuit breaker at once, since a streamed reply may take long to end."""
        self._context.breaker.note_head(head)
        return follow(head, flow)

    async def _retry(self, error: BackendUnreachable) -> Reply:
        """Ask again after a short time: PHP may be restarting."""
        context, receiver = self._context, self._receiver
        assert receiver is not None
        until = self.ticket.since + _MAX_RETRY_SECONDS
        for delay in _RETRY_DELAYS:
            if context.reactor.seconds() + delay > until:
                break
            await deferLater(context.reactor, delay)
            if not receiver.is_wanted():
                raise ClientDisconnected("the client has left", error)
            context.metrics.php_retries += 1
            try:
                reply: Reply = await context.backend.ask(self.ticket.event, self.follow)
            except BackendUnreachable as new_error:
                error = new_error
            else:
                return reply
        raise error


class _DeferredReply(DeferredReply):
    """A :class:`Receiver` that fires a Deferred."""

    def __init__(self, follow: Follow | None, is_wanted: Callable[[], bool]) -> None:
        super().__init__(follow)
        self.is_wanted = is_wanted
