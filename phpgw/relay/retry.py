"""Calls the backend, with retries, behind the circuit breaker."""

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

# Seconds between the attempts to reach PHP. An event that has reached PHP is not sent again.
_RETRY_DELAYS = (0.1, 0.2, 0.4, 0.8)
# An attempt may take long; there is no other after this many seconds.
_MAX_RETRY_SECONDS = 5.0


def _always() -> bool:
    return True


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

    def trouble(self) -> str | None:
        """Return why PHP would not be asked now; ``None`` if it would."""
        return self._breaker.trouble()

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
        """Call the backend's ``ask``. Retry for up to 1.5 s while PHP is unreachable.

        :param is_wanted: called before each retry. If it returns false, the event fails with a
            :exc:`phpgw.relay.errors.ClientDisconnected` instead.
        """
        try:
            ticket = self._breaker.enter(event)
        except CircuitOpen as error:
            return fail(error)
        if follow is not None and self._breaker.is_open:
            follow = partial(self._follow, follow)
        self._metrics.php_requests += 1
        self._metrics.php_requests_now += 1
        asked: Deferred[Any] = maybeDeferred(self._backend.ask, event, follow)
        asked.addErrback(self._failed, event, follow, is_wanted, ticket.since + _MAX_RETRY_SECONDS)
        return asked.addBoth(self._asked, ticket)

    def _follow(
        self, follow: Follow, head: Head, flow: FlowControl
    ) -> Callable[[bytes], None] | None:
        """Tell the circuit breaker at once, since a streamed reply may take long to end."""
        self._breaker.note_head(head)
        return follow(head, flow)

    def _failed(
        self,
        failure: Failure,
        event: Event,
        follow: Follow | None,
        is_wanted: Callable[[], bool],
        until: float,
    ) -> Failure | Deferred[Reply]:
        """Retry if PHP was unreachable."""
        if not isinstance(failure.value, BackendUnreachable):
            return failure
        retrying = self._retry(failure.value, event, follow, is_wanted, until)
        return Deferred.fromCoroutine(retrying)

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

    def _asked(self, outcome: Any, ticket: Ticket) -> Any:
        """Tell the circuit breaker how an event has ended."""
        self._metrics.php_requests_now -= 1
        self._breaker.leave(ticket, outcome)
        return outcome
