"""Events of the gateway's own, which no browser has caused: they are sent to PHP one by one."""

from functools import partial
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from phpgw.backend.errors import BackendError
from phpgw.backend.event import Event, Handshake, Identity
from phpgw.backend.reply import Reply
from phpgw.hub.client import Client
from phpgw.relay.errors import ClientDisconnected
from phpgw.relay.event_report import EventObservers
from phpgw.relay.fifo import DeferredEvent, QueuedEvent
from phpgw.relay.overruns import Overruns
from phpgw.relay.queue import EventQueue
from phpgw.relay.replies import PendingReply, Replies
from phpgw.relay.retry import RetryingBackend


class OwnEvents:
    """Asks PHP with events of the gateway's own, and has the replies carried out.

    :param overruns: tells when a script has ended that exceeded its timeout.
    :param handshake: the handshake of events that are about no client.
    :param observers: is told of each event that has ended.
    :ivar identity: the identity of events that are about no client.
    """

    def __init__(
        self,
        reactor: IReactorTime,
        queue: EventQueue,
        backend: RetryingBackend,
        replies: Replies,
        overruns: Overruns,
        handshake: Handshake,
        observers: EventObservers,
    ) -> None:
        self._now = reactor.seconds
        self._queue = queue
        self._backend = backend
        self._replies = replies
        self._overruns = overruns
        self._observers = observers
        self.identity = Identity(client_id="", handshake=handshake)

    def ask(self, subject: str, event: Event, client: Client | None = None) -> Deferred[bool]:
        """Send PHP an event.

        :param subject: the event, for the log.
        :param client: gets what PHP prints; ``None`` for nobody.
        :returns: fires when the script has ended, with whether it succeeded.
        """
        ended: Deferred[bool] = Deferred()
        run = partial(self._run, subject, event, client, ended)
        self._queue.enqueue(DeferredEvent(run, self._queue.messages, self._now()))
        return ended

    def _run(
        self,
        subject: str,
        event: Event,
        client: Client | None,
        ended: Deferred[bool],
        queued: QueuedEvent,
        error: BackendError | None,
    ) -> Deferred[Any]:
        """Ask PHP; with an error, fail in the same way."""
        pending = PendingReply(self._replies, client, event.is_binary, event.message)
        queued.asked_at = None if error else self._now()
        asked = fail(error) if error else self._backend.ask(event, pending.follow)
        overrun: Deferred[None] | None = None
        has_replied = True

        def replied(reply: Reply) -> Deferred[None] | None:
            queued.reply, queued.replied_at = reply, self._now()
            return pending.complete(reply)

        def failed(failure: Failure) -> Deferred[None] | None:
            nonlocal overrun, has_replied
            has_replied = False
            queued.failure = failure
            if failure.check(ClientDisconnected):
                self._replies.metrics.replies_without_client += 1
                self._replies.report_cause(subject, event, failure)
            else:
                self._replies.report_failure(subject, event, failure, client)
            overrun = self._overruns.until_ended(failure)
            return pending.break_off()

        def end(outcome: object) -> None:
            self._observers.ended(queued, event)
            # The next one must not overlap with it, but other events need not wait for it.
            (overrun or succeed(None)).addBoth(lambda _: ended.callback(has_replied))

        asked.addCallback(replied)
        asked.addErrback(failed)
        return asked.addBoth(end)
