"""Events for an own PHP-FPM, which wait until it has started."""

from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from zope.interface import implementer

from phpgw.backend.errors import BackendUnreachable, Withdrawn
from phpgw.backend.event import Event
from phpgw.backend.fpm.endpoint import NOT_READY, FpmEndpoint
from phpgw.backend.interface import IBackend
from phpgw.backend.receiver import Cancellable, ReplyReceiver, send_by_asking
from phpgw.backend.reply import Follow, Reply


@implementer(IBackend)
class OwnFpmBackend:
    """Hands events to another backend once the own PHP-FPM accepts connections.

    :param backend: asks this PHP-FPM.
    :param timeout: seconds for which an event may wait until PHP-FPM is ready.
    """

    def __init__(self, reactor: Any, fpm: FpmEndpoint, backend: IBackend, timeout: float) -> None:
        self._reactor = reactor
        self._fpm = fpm
        self._backend = backend
        self._timeout = timeout
        # Events that wait until PHP-FPM is ready; None for one that was withdrawn.
        self._waiting: dict[Deferred[Reply], Event | None] = {}

    def ask(self, event: Event, follow: Follow | None = None) -> Deferred[Reply]:
        """See :meth:`phpgw.backend.interface.IBackend.ask`."""
        if self._fpm.is_ready:
            return self._backend.ask(event, follow)
        asked = self._when_ready()
        self._waiting[asked] = event

        def stop_waiting(outcome: Any) -> Any:
            is_withdrawn = self._waiting.pop(asked) is None
            return Failure(Withdrawn(BackendUnreachable(NOT_READY))) if is_withdrawn else outcome

        asked.addBoth(stop_waiting)
        return asked.addCallback(lambda _: self._backend.ask(event, follow))

    def send(self, event: Event, receiver: ReplyReceiver) -> Cancellable:
        """See :meth:`phpgw.backend.interface.IBackend.send`."""
        if self._fpm.is_ready:
            sent: Cancellable = self._backend.send(event, receiver)
            return sent
        return send_by_asking(self, event, receiver)

    def withdraw(self, client_id: str) -> None:
        """See :meth:`phpgw.backend.interface.IBackend.withdraw`."""
        for asked, event in list(self._waiting.items()):
            if event is not None and event.is_awaited_by(client_id):
                self._waiting[asked] = None
                asked.cancel()
        self._backend.withdraw(client_id)

    def probe(self) -> Deferred[None]:
        """See :meth:`phpgw.backend.interface.IBackend.probe`."""
        return self._when_ready().addCallback(lambda _: self._backend.probe())

    def close(self) -> Deferred[None]:
        """See :meth:`phpgw.backend.interface.IBackend.close`."""
        return self._backend.close()

    def _when_ready(self) -> Deferred[Any]:
        ready: Deferred[Any] = self._fpm.when_ready()
        return ready.addTimeout(self._timeout, self._reactor, onTimeoutCancel=_raise_not_ready)


def _raise_not_ready(outcome: object, seconds: float) -> None:
    raise BackendUnreachable(f"PHP-FPM did not start within {seconds:g} s (--php-timeout)")
