"""A concurrency limit for a PHP behind a web server.

A script that has timed out keeps its worker until it ends. An event that is sent meanwhile would
wait in PHP-FPM's own queue, and time out there.
"""

from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from zope.interface import implementer

from phpgw.backend.errors import BackendBusy, BackendTimeout
from phpgw.backend.event import Event
from phpgw.backend.interface import IBackend
from phpgw.backend.receiver import Cancellable, ReplyReceiver, send_by_asking
from phpgw.backend.reply import Follow, Reply
from phpgw.deadlines import Deadlines
from phpgw.metrics import Metrics

_NO_WORKER = (
    "all of PHP's workers were taken for {:g} s (--waiting-timeout) by scripts that run longer "
    "than --php-timeout, so it has not run: raise pm.max_children and --php-concurrency"
)


@attrs.define(eq=False)
class _WaitingEvent:
    """An event that waits for a worker.

    :ivar reply: fires with PHP's reply.
    :ivar asked: the backend's Deferred, once the event was sent.
    """

    event: Event
    follow: Follow | None
    reply: Deferred[Reply] = attrs.field(init=False)
    asked: Deferred[Reply] | None = None


@implementer(IBackend)
class ConcurrencyLimit:
    """Sends events to another backend while there are workers for them, in order.

    :param limit: how many scripts may run at once, including those that have timed out.
    :param timeout: seconds for which an event may wait for a worker; 0 for no limit.
    :param longest_run: seconds after its timeout for which a script counts as running at most.
    :ivar running: how many scripts run.
    """

    def __init__(
        self,
        reactor: Any,
        backend: IBackend,
        *,
        limit: int,
        timeout: float,
        longest_run: float,
        metrics: Metrics,
    ) -> None:
        self._reactor = reactor
        self._backend = backend
        self._limit = limit
        self._longest_run = longest_run
        self._metrics = metrics
        self.running = 0
        # In order of arrival.
        self._waiting: dict[_WaitingEvent, None] = {}
        self._deadlines: Deadlines[_WaitingEvent] = Deadlines(reactor, timeout, self._expire)

    def ask(self, event: Event, follow: Follow | None = None) -> Deferred[Reply]:
        """See :meth:`phpgw.backend.interface.IBackend.ask`."""
        if self.running < self._limit:
            return self._send(event, follow)
        waiting = _WaitingEvent(event, follow)
        waiting.reply = Deferred(lambda _: self._cancel(waiting))
        self._waiting[waiting] = None
        self._metrics.events_waiting_for_worker_now += 1
        if self._deadlines.seconds:
            self._deadlines.start(waiting)
        return waiting.reply

    def send(self, event: Event, receiver: ReplyReceiver) -> Cancellable:
        """See :meth:`phpgw.backend.interface.IBackend.send`."""
        return send_by_asking(self, event, receiver)

    def withdraw(self, client_id: str) -> None:
        """See :meth:`phpgw.backend.interface.IBackend.withdraw`."""
        for waiting in list(self._waiting):
            if waiting.event.is_awaited_by(client_id):
                waiting.reply.cancel()
        self._backend.withdraw(client_id)

    def probe(self) -> Deferred[None]:
        """See :meth:`phpgw.backend.interface.IBackend.probe`."""
        return self._backend.probe()

    def close(self) -> Deferred[None]:
        """See :meth:`phpgw.backend.interface.IBackend.close`."""
        for waiting in list(self._waiting):
            self._stop_waiting(waiting)
            waiting.reply.errback(BackendBusy("the gateway stopped before a worker took it"))
        self._deadlines.close()
        return self._backend.close()

    def _send(self, event: Event, follow: Follow | None) -> Deferred[Reply]:
        self.running += 1
        return self._backend.ask(event, follow).addBoth(self._done)

    def _done(self, outcome: Any) -> Any:
        error = outcome.value if isinstance(outcome, Failure) else None
        ended = error.ended if isinstance(error, BackendTimeout) else None
        if ended is None:
            self._release(None)
        else:
            ended.addTimeout(self._longest_run, self._reactor)
            ended.addBoth(self._release)
        return outcome

    def _release(self, outcome: object) -> None:
        """Note that a worker is free, and send the next event."""
        self.running -= 1
        if self._waiting and self.running < self._limit:
            waiting = next(iter(self._waiting))
            self._stop_waiting(waiting)
            waiting.asked = self._send(waiting.event, waiting.follow)
            waiting.asked.chainDeferred(waiting.reply)

    def _cancel(self, waiting: _WaitingEvent) -> None:
        if waiting.asked is not None:
            waiting.asked.cancel()
        else:
            self._stop_waiting(waiting)

    def _expire(self, waiting: _WaitingEvent) -> None:
        self._stop_waiting(waiting)
        waiting.reply.errback(BackendBusy(_NO_WORKER.format(self._deadlines.seconds)))

    def _stop_waiting(self, waiting: _WaitingEvent) -> None:
        del self._waiting[waiting]
        self._deadlines.stop(waiting)
        self._metrics.events_waiting_for_worker_now -= 1
