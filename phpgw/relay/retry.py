"""Calls the backend, with retries, behind the circuit breaker."""

from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.python.failure import Failure

from phpgw.backend.errors import BackendUnreachable
from phpgw.backend.event import Event
from phpgw.backend.interface import IBackend
from phpgw.backend.reply import FlowControl, Follow, Head, Reply
from phpgw.metrics import Metrics
from phpgw.relay.breaker import Breaker, CircuitOpen, Ticket
from phpgw.relay.errors import ClientDisconnected

# Seconds between the attempts to reach PHP. An event that has reached PHP is not sent again.
_RETRY_DELAYS = (0.1, 0.2, 0.4, 0.8)
# An attempt may take long; there is no other after this many seconds.
_MAX_RETRY_SECONDS = 5.0


def _always() -> bool:
    return True


class Receiver(Protocol):
    """Waits for the reply to an event.

    :ivar follow: called with the head of the reply; see :data:`phpgw.backend.reply.Follow`.
    :ivar is_wanted: called before the event is sent again. If it returns false, the event fails
        with a :exc:`phpgw.relay.errors.ClientDisconnected` instead.
    """

    @property
    def follow(self) -> Follow | None: ...

    @property
    def is_wanted(self) -> Callable[[], bool]: ...

    def replied(self, reply: Reply) -> Deferred[None] | None:
        """Take the reply.

        :returns: fires when that is done, and can be cancelled until then; ``None`` if it is done.
        """

    def failed(self, failure: Failure) -> Deferred[None] | None:
        """Take the failure of the event; see :meth:`replied`."""


class RetryingBackend:
    """Calls the backend, with retries, behind the circuit breaker."""

    def __init__(
        self, reactor: IReactorTime, backend: IBackend, breaker: Breaker, metrics: Metrics
    ) -> None:
        self._reactor = reactor
        self._backend = backend
        self._breaker = breaker
        self._metrics = metrics

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

    def send(self, event: Event, receiver: Receiver) -> Deferred[Any]:
        """Call the backend's ``ask``. Retry for up to 1.5 s while PHP is unreachable.

        The backend's Deferred gets one pair of callbacks for all that the relay does with a reply,
        since each pair takes time.

        :returns: fires when the receiver is done; can be cancelled until then.
        """
        try:
            ticket = self._breaker.enter(event)
        except CircuitOpen as error:
            return succeed(receiver.failed(Failure(error)))
        follow = receiver.follow
        if follow is not None and self._breaker.is_open:
            follow = partial(self._follow, follow)
        self._metrics.php_requests += 1
        self._metrics.php_requests_now += 1
        try:
            asked: Deferred[Any] = self._backend.ask(event, follow)
        except Exception:
            asked = fail()
        return asked.addCallbacks(
            self._replied,
            self._failed,
            (receiver, ticket),
            errbackArgs=(receiver, ticket, follow),
        )

    def _replied(self, reply: Reply, receiver: Receiver, ticket: Ticket) -> Deferred[None] | None:
        """Hand a reply to the receiver."""
        self._metrics.php_requests_now -= 1
        self._breaker.leave(ticket, reply)
        return receiver.replied(reply)

    def _failed(
        self, failure: Failure, receiver: Receiver, ticket: Ticket, follow: Follow | None
    ) -> Deferred[None] | None:
        """Retry if PHP was unreachable."""
        if not isinstance(failure.value, BackendUnreachable):
            return self._given_up(failure, receiver, ticket)
        until = ticket.since + _MAX_RETRY_SECONDS
        retrying = Deferred.fromCoroutine(
            self._retry(failure.value, ticket.event, follow, receiver.is_wanted, until)
        )
        arguments = receiver, ticket
        return retrying.addCallbacks(
            self._replied, self._given_up, arguments, errbackArgs=arguments
        )

    def _given_up(
        self, failure: Failure, receiver: Receiver, ticket: Ticket
    ) -> Deferred[None] | None:
        """Hand a failure to the receiver."""
        self._metrics.php_requests_now -= 1
        self._breaker.leave(ticket, failure)
        return receiver.failed(failure)

    def _follow(
        self, follow: Follow, head: Head, flow: FlowControl
    ) -> Callable[[bytes], None] | None:
        """Tell the circuit breaker at once, since a streamed reply may take long to end."""
        self._breaker.note_head(head)
        return follow(head, flow)

    async def _retry(
        self,
        error: BackendUnreachable,
        event: Event,
        follow: Follow | None,
        is_wanted: Callable[[], bool],
        until: float,
    ) -> Reply:
        """Ask again after a short time: PHP may be restarting.

        :param until: when to stop, in seconds of the reactor's clock.
        """
        for delay in _RETRY_DELAYS:
            if self._reactor.seconds() + delay > until:
                break
            await deferLater(self._reactor, delay)
            if not is_wanted():
                raise ClientDisconnected("the client has left", error)
            self._metrics.php_retries += 1
            try:
                reply: Reply = await self._backend.ask(event, follow)
            except BackendUnreachable as new_error:
                error = new_error
            else:
                return reply
        raise error


class _DeferredReply:
    """The receiver of a reply that fires a Deferred.

    :ivar sent: the Deferred of :meth:`RetryingBackend.send`.
    :ivar reply: fires with the reply; cancels the event if it is cancelled.
    """

    def __init__(self, follow: Follow | None, is_wanted: Callable[[], bool]) -> None:
        self.follow = follow
        self.is_wanted = is_wanted
        self.sent: Deferred[Any] = Deferred()
        self.reply: Deferred[Any] = Deferred(lambda _: self.sent.cancel())

    def replied(self, reply: Reply) -> None:
        self.reply.callback(reply)

    def failed(self, failure: Failure) -> None:
        self.reply.errback(failure)
