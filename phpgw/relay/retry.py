"""Asking PHP, and asking again while it is away."""

from collections.abc import Callable
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred, fail, maybeDeferred
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

# Seconds between the attempts to reach PHP; what reached it is not tried again.
_PATIENCE = (0.1, 0.2, 0.4, 0.8)
# An attempt may take long by itself; so many seconds after the first, there is no other.
_LONGEST = 5.0


def _always() -> bool:
    return True


class RetryingBackend:
    """The one who is asked, unless the circuit breaker is open."""

    def __init__(
        self, reactor: IReactorTime, backend: IBackend, breaker: Breaker, metrics: Metrics
    ) -> None:
        self._reactor = reactor
        self._backend = backend
        self._breaker = breaker
        self._metrics = metrics

    @property
    def is_away(self) -> bool:
        """Whether it has not answered of late."""
        return self._breaker.is_open

    @property
    def heard_at(self) -> float:
        """When it has answered an event last."""
        return self._breaker.alive_at

    def trouble(self) -> str | None:
        """Why it would not be asked just now; ``None`` if it would."""
        return self._breaker.trouble()

    def withdraw(self, client_id: str) -> None:
        """See :meth:`phpgw.backend.interface.IBackend.withdraw`."""
        self._backend.withdraw(client_id)

    def probe(self) -> Deferred[None]:
        """See :meth:`~phpgw.backend.interface.IBackend.probe`; the circuit breaker has no part."""
        probed: Deferred[None] = self._backend.probe()
        return probed

    def ask(
        self,
        event: Event,
        follow: Follow | None = None,
        is_wanted: Callable[[], bool] = _always,
    ) -> Deferred[Any]:
        """Call the backend's ``ask``. Retry for up to 1.5 s while PHP is unreachable.

        :param is_wanted: whether somebody still waits for the answer, before each new attempt; it
            fails with a :exc:`phpgw.relay.errors.ClientDisconnected` otherwise.
        """
        try:
            ticket = self._breaker.enter(event)
        except CircuitOpen as error:
            return fail(error)
        if follow is not None and self._breaker.is_open:
            follow = partial(self._begun, follow)
        self._metrics.php_requests += 1
        self._metrics.php_requests_now += 1
        asked: Deferred[Any] = maybeDeferred(self._backend.ask, event, follow)
        asked.addErrback(self._failed, event, follow, is_wanted, ticket.since + _LONGEST)
        return asked.addBoth(self._asked, ticket)

    def _begun(
        self, follow: Follow, head: Head, flow: FlowControl
    ) -> Callable[[bytes], None] | None:
        """The whole of a streamed answer may take long."""
        self._breaker.hear(head)
        return follow(head, flow)

    def _failed(
        self,
        failure: Failure,
        event: Event,
        follow: Follow | None,
        is_wanted: Callable[[], bool],
        until: float,
    ) -> Failure | Deferred[Reply]:
        if not isinstance(failure.value, BackendUnreachable):
            return failure
        asking = self._ask_again(failure.value, event, follow, is_wanted, until)
        return Deferred.fromCoroutine(asking)

    async def _ask_again(
        self,
        error: BackendUnreachable,
        event: Event,
        follow: Follow | None,
        is_wanted: Callable[[], bool],
        until: float,
    ) -> Reply:
        """Wait a little for a PHP that is not there: it may be restarting."""
        for delay in _PATIENCE:
            if self._reactor.seconds() + delay > until:
                break
            await deferLater(self._reactor, delay)
            if not is_wanted():
                raise ClientDisconnected("the client has left", error)
            self._metrics.php_retries += 1
            try:
                reply: Reply = await self._backend.ask(event, follow)
            except BackendUnreachable as again:
                error = again
            else:
                return reply
        raise error

    def _asked(self, outcome: Any, ticket: Ticket) -> Any:
        self._metrics.php_requests_now -= 1
        self._breaker.leave(ticket, outcome)
        return outcome
