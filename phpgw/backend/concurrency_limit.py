"""A concurrency limit for a PHP behind a web server.

A script that has timed out keeps its worker until it ends. An event that is sent meanwhile would
wait in PHP-FPM's own queue, and time out there.
"""

from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure
from zope.interface import implementer

from phpgw.backend.errors import BackendBusy, BackendTimeout
from phpgw.backend.event import Event
from phpgw.backend.interface import IBackend
from phpgw.backend.receiver import Cancellable, DeferredReply, ReplyReceiver
from phpgw.backend.reply import Follow, Reply
from phpgw.deadlines import Deadlines
from phpgw.metrics import Metrics

_NO_WORKER = (
    "all of PHP's workers were taken for {:g} s (--waiting-timeout) by scripts that run longer "
    "than --php-timeout, so it has not run: raise pm.max_children and --php-concurrency"
)


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
        self._waiting: dict[_LimitedEvent, None] = {}
        self._deadlines: Deadlines[_LimitedEvent] = Deadlines(reactor, timeout, self._expire)

    def ask(self, event: Event, follow: Follow | None = None) -> Deferred[Reply]:
        """See :meth:`phpgw.backend.interface.IBackend.ask`."""
        receiver = DeferredReply(follow)
        receiver.sent = self.send(event, receiver)
        return receiver.reply

    def send(self, event: Event, receiver: ReplyReceiver) -> Cancellable:
        """See :meth:`phpgw.backend.interface.IBackend.send`."""
        limited = _LimitedEvent(self, event, receiver)
        if self.running < self._limit:
            self._send(limited)
        else:
            self._waiting[limited] = None
            self._metrics.events_waiting_for_worker_now += 1
            if self._deadlines.seconds:
                self._deadlines.start(limited)
        return limited

    def withdraw(self, client_id: str) -> None:
        """See :meth:`phpgw.backend.interface.IBackend.withdraw`."""
        for waiting in list(self._waiting):
            if waiting.event.is_awaited_by(client_id):
                waiting.cancel()
        self._backend.withdraw(client_id)

    def probe(self) -> Deferred[None]:
        """See :meth:`phpgw.backend.interface.IBackend.probe`."""
        return self._backend.probe()

    def close(self) -> Deferred[None]:
        """See :meth:`phpgw.backend.interface.IBackend.close`."""
        for waiting in list(self._waiting):
            self._give_up(waiting, BackendBusy("the gateway stopped before a worker took it"))
        self._deadlines.close()
        return self._backend.close()

    def cancel(self, limited: "_LimitedEvent") -> None:
        """Cancel an event if it waits for a worker."""
        if limited in self._waiting:
            self._give_up(limited, CancelledError())

    def free(self) -> None:
        """Note that a worker is free, and send the next event."""
        self.running -= 1
        if self._waiting and self.running < self._limit:
            waiting = next(iter(self._waiting))
            self._stop_waiting(waiting)
            self._send(waiting)

    def free_at_end(self, ended: Deferred[None]) -> None:
        """Note that a worker is free once its script, which has timed out, has ended."""
        ended.addTimeout(self._longest_run, self._reactor)
        ended.addBoth(lambda _: self.free())

    def _send(self, limited: "_LimitedEvent") -> None:
        self.running += 1
        try:
            limited.sent = self._backend.send(limited.event, limited)
        except Exception:
            limited.failed(Failure())

    def _expire(self, waiting: "_LimitedEvent") -> None:
        self._give_up(waiting, BackendBusy(_NO_WORKER.format(self._deadlines.seconds)))

    def _give_up(self, waiting: "_LimitedEvent", error: Exception) -> None:
        self._stop_waiting(waiting)
        waiting.fail(Failure(error))

    def _stop_waiting(self, waiting: "_LimitedEvent") -> None:
        del self._waiting[waiting]
        self._deadlines.stop(waiting)
        self._metrics.events_waiting_for_worker_now -= 1


class _LimitedEvent:
    """An event that waits for a worker, or has one; it receives the outcome, and hands it on.

    :ivar sent: what was sent to the other backend.
    """

    __slots__ = ("_limit", "_receiver", "event", "sent")

    def __init__(self, limit: ConcurrencyLimit, event: Event, receiver: ReplyReceiver) -> None:
        self._limit = limit
        # None once it has the outcome, so that there is no reference cycle.
        self._receiver: ReplyReceiver | None = receiver
        self.event = event
        self.sent: Cancellable | None = None

    def cancel(self) -> None:
        """See :class:`phpgw.backend.receiver.Cancellable`."""
        if self.sent is None:
            self._limit.cancel(self)
        else:
            self.sent.cancel()

    def fail(self, failure: Failure) -> None:
        """Hand on a failure."""
        receiver, self._receiver = self._receiver, None
        if receiver is not None:
            receiver.failed(failure)

    # phpgw.backend.receiver.ReplyReceiver

    @property
    def follow(self) -> Follow | None:
        return None if self._receiver is None else self._receiver.follow

    def replied(self, reply: Reply) -> None:
        self._limit.free()
        receiver, self._receiver = self._receiver, None
        if receiver is not None:
            receiver.replied(reply)

    def failed(self, failure: Failure) -> None:
        error = failure.value
        if isinstance(error, BackendTimeout) and error.ended is not None:
            self._limit.free_at_end(error.ended)
        else:
            self._limit.free()
        self.fail(failure)
