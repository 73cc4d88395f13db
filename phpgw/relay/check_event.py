"""The check event: PHP is asked for a sign of life, and its reply is not carried out."""

from typing import Any

import attrs
from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from phpgw.backend.errors import BackendError
from phpgw.backend.event import Event, Handshake, Identity
from phpgw.backend.interface import IBackend
from phpgw.backend.reply import Reply
from phpgw.relay.fifo import DeferredEvent, QueuedEvent
from phpgw.relay.queue import EventQueue


@attrs.frozen
class CheckedReply:
    """The reply to a check event.

    :ivar seconds: how long PHP took.
    """

    reply: Reply
    seconds: float


class CheckEvents:
    """Asks PHP with check events.

    They take their turn like messages. The circuit breaker and the retries are left out: the answer
    is how PHP is now. Nobody gets the reply, and commands in it do not run.

    :param backend: asks PHP once.
    :param handshake: the handshake of events that are about no client.
    """

    def __init__(
        self, reactor: IReactorTime, queue: EventQueue, backend: IBackend, handshake: Handshake
    ) -> None:
        self._now = reactor.seconds
        self._queue = queue
        self._backend = backend
        self._identity = Identity(client_id="", handshake=handshake)

    def ask(self) -> Deferred[CheckedReply]:
        """Send PHP a check event.

        :returns: fires with the reply, or fails with a
            :exc:`phpgw.backend.errors.BackendError`. It can be cancelled.
        """
        return _CheckEvent(self._now, self._queue, self._backend, self._identity).replied


class _CheckEvent:
    """One check event, from the queue to its reply."""

    def __init__(self, now: Any, queue: EventQueue, backend: IBackend, identity: Identity) -> None:
        self._now = now
        self._queue = queue
        self._backend = backend
        self._identity = identity
        self._asked: Deferred[Reply] | None = None
        self.replied: Deferred[CheckedReply] = Deferred(self._cancel)
        self._queued = DeferredEvent(self._run, queue.messages, now())
        queue.enqueue(self._queued)

    def _run(self, queued: QueuedEvent, error: BackendError | None) -> Deferred[Any]:
        began_at = self._now()
        event = Event("check", b"", self._identity)
        self._asked = asked = fail(error) if error else self._backend.ask(event)

        def reply(reply: Reply) -> None:
            self.replied.callback(CheckedReply(reply, self._now() - began_at))

        def report(failure: Failure) -> None:
            if not self.replied.called:
                self.replied.errback(failure)

        return asked.addCallback(reply).addErrback(report)

    def _cancel(self, replied: Deferred[CheckedReply]) -> None:
        if self._asked is None:
            self._queue.cancel(self._queued)
        else:
            self._asked.cancel()
