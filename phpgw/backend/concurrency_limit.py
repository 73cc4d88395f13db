"""As many scripts at once as PHP has workers for, where a web server stands in between.

A script that was not answered in time keeps its worker until it ends. An event that was sent all
the same would wait in PHP-FPM's own queue, and its time would run out there.
"""

from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from zope.interface import implementer

from phpgw.backend.deadlines import Deadlines
from phpgw.backend.errors import BackendBusy, BackendTimeout
from phpgw.backend.event import Event
from phpgw.backend.interface import IBackend
from phpgw.backend.reply import Follow, Reply
from phpgw.metrics import Metrics

_NO_WORKER = (
    "all of PHP's workers were taken for {:g} s (--waiting-timeout) by scripts that run longer "
    "than --php-timeout, so it has not run: raise pm.max_children and --php-concurrency"
)


@attrs.define(eq=False)
class _WaitingEvent:
    """An event that waits for a worker.

    :ivar answer: fires with PHP's answer.
    :ivar asked: the same, once a worker has it.
    """

    event: Event
    follow: Follow | None
    answer: Deferred[Reply] = attrs.field(init=False)
    asked: Deferred[Reply] | None = None


@implementer(IBackend)
class ConcurrencyLimit:
    """Hands events to another backend while there are workers for them.

    :param limit: how many scripts run at once, those included that were given up on.
    :param timeout: seconds for which an event may wait for a worker; 0 for ever.
    :param longest_run: seconds after which a script counts as ended in any case.
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
        self._busy = 0
        # In the order in which they came.
        self._waiting: dict[_WaitingEvent, None] = {}
        self._deadlines: Deadlines[_WaitingEvent] = Deadlines(reactor, timeout, self._give_up)

    def ask(self, event: Event, follow: Follow | None = None) -> Deferred[Reply]:
        """See :meth:`phpgw.backend.interface.IBackend.ask`."""
        if self._busy < self._limit:
            return self._begin(event, follow)
        waiting = _WaitingEvent(event, follow)
        waiting.answer = Deferred(lambda _: self._cancel(waiting))
        self._waiting[waiting] = None
        self._metrics.events_waiting_for_worker_now += 1
        if self._deadlines.seconds:
            self._deadlines.start(waiting)
        return waiting.answer

    def withdraw(self, client_id: str) -> None:
        """See :meth:`phpgw.backend.interface.IBackend.withdraw`."""
        for waiting in list(self._waiting):
            if waiting.event.is_of(client_id):
                waiting.answer.cancel()
        self._backend.withdraw(client_id)

    def probe(self) -> Deferred[None]:
        """See :meth:`phpgw.backend.interface.IBackend.probe`."""
        return self._backend.probe()

    def close(self) -> Deferred[None]:
        """See :meth:`phpgw.backend.interface.IBackend.close`."""
        for waiting in list(self._waiting):
            self._leave(waiting)
            waiting.answer.errback(BackendBusy("the gateway stopped before a worker took it"))
        self._deadlines.close()
        return self._backend.close()

    def _begin(self, event: Event, follow: Follow | None) -> Deferred[Reply]:
        self._busy += 1
        return self._backend.ask(event, follow).addBoth(self._answered)

    def _answered(self, outcome: Any) -> Any:
        error = outcome.value if isinstance(outcome, Failure) else None
        ended = error.ended if isinstance(error, BackendTimeout) else None
        if ended is None:
            self._release(None)
        else:
            ended.addTimeout(self._longest_run, self._reactor)
            ended.addBoth(self._release)
        return outcome

    def _release(self, outcome: object) -> None:
        """A worker is free again."""
        self._busy -= 1
        if self._waiting and self._busy < self._limit:
            waiting = next(iter(self._waiting))
            self._leave(waiting)
            waiting.asked = self._begin(waiting.event, waiting.follow)
            waiting.asked.chainDeferred(waiting.answer)

    def _cancel(self, waiting: _WaitingEvent) -> None:
        if waiting.asked is not None:
            waiting.asked.cancel()
        else:
            self._leave(waiting)

    def _give_up(self, waiting: _WaitingEvent) -> None:
        self._leave(waiting)
        waiting.answer.errback(BackendBusy(_NO_WORKER.format(self._deadlines.seconds)))

    def _leave(self, waiting: _WaitingEvent) -> None:
        """Take an event out of those that wait."""
        del self._waiting[waiting]
        self._deadlines.stop(waiting)
        self._metrics.events_waiting_for_worker_now -= 1
