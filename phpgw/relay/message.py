"""A client's message, from when it is queued until PHP's reply has been carried out."""

from collections.abc import Callable
from typing import Any

import attrs
from twisted.internet.defer import CancelledError, Deferred, maybeDeferred
from twisted.python.failure import Failure

from phpgw.backend.errors import BackendError
from phpgw.backend.event import Event
from phpgw.backend.reply import FlowControl, Head, Reply
from phpgw.hub.client import Client
from phpgw.metrics import Metrics
from phpgw.relay.errors import ClientDisconnected
from phpgw.relay.event_report import EventObservers
from phpgw.relay.fifo import Places, QueuedEvent
from phpgw.relay.queue import EventQueue
from phpgw.relay.replies import PendingReply, Replies
from phpgw.relay.reply_reader import is_stream
from phpgw.relay.retry import RetryingBackend
from phpgw.relay.stream_limits import LimitedFlow, StreamLimits

_POLICY_VIOLATION = 1008


@attrs.frozen(kw_only=True)
class MessageContext:
    """The context of all messages.

    :ivar backend: asks PHP.
    :ivar replies: carries out PHP's replies.
    :ivar queue: where messages wait and run.
    :ivar stream_limits: limits streamed replies.
    :ivar metrics: has the number of replies without a client.
    :ivar now: returns the time of the reactor's clock, in seconds.
    :ivar observers: is told of each message that has ended.
    :ivar running: the messages that PHP works on.
    :ivar may_resume: called when a message has been taken from a full inbox.
    :ivar failed: called with a client whose message has failed, and with the failure.
    :ivar go_on: called with a client whose message has ended, and with whether PHP was asked.
    """

    backend: RetryingBackend
    replies: Replies
    queue: EventQueue
    stream_limits: StreamLimits
    metrics: Metrics
    now: Callable[[], float]
    observers: EventObservers
    running: "dict[Client, ClientMessage]"
    may_resume: Callable[[Client], None]
    failed: Callable[[Client, Failure], None]
    go_on: Callable[[Client, bool], None]


class ClientMessage(QueuedEvent):
    """The next message of a client.

    It waits in the queue, is the :class:`phpgw.relay.retry.Receiver` of PHP's reply, and has the
    reply carried out. Which message it is, is known when it runs: the first one in the inbox.

    :ivar event: the event for PHP.
    :ivar pending: what is done with PHP's reply.
    :ivar asked: can be cancelled until it has ended.
    :ivar flow: controls the flow of the reply, if that is streamed.
    """

    __slots__ = ("_context", "_error", "asked", "event", "flow", "pending")

    client: Client

    def __init__(self, context: MessageContext, client: Client, since: float) -> None:
        # Without a call of the base class, which would take longer than all of this.
        queue = context.queue
        self.fifo = queue.streams if client.expects_stream else queue.messages
        self.waiting_since = since
        self.client = client
        self.network = None
        self.is_running = False
        self.asked_at = self.replied_at = self.reply = self.failure = None
        self._context = context
        self.flow: LimitedFlow | None = None
        # Why the gateway has ended it early, if it has done so for other events.
        self._error: BackendError | None = None

    # phpgw.relay.fifo.QueuedEvent

    def run(self, queue: Places) -> bool:
        """Ask PHP."""
        client, context = self.client, self._context
        if not client.inbox:
            # It has disconnected, or its connection is closing.
            context.go_on(client, False)
            return False
        event = self._take()
        self.asked_at = context.now()
        self.asked = context.backend.send(event, self)
        if client.is_paused:
            context.may_resume(client)
        return True

    def refuse(self, error: BackendError) -> None:
        """Fail in the same way as if PHP had been asked."""
        client, context = self.client, self._context
        if not client.inbox:
            context.go_on(client, False)
            return
        self._take()
        self.asked = self._fail(Failure(error), was_asked=False)
        if client.is_paused:
            context.may_resume(client)

    # phpgw.relay.retry.Receiver

    def is_wanted(self) -> bool:
        return not self.client.is_disconnected

    def follow(self, head: Head, flow: FlowControl) -> Callable[[bytes], None] | None:
        if is_stream(head) and not self.client.is_disconnected:
            limits = self._context.stream_limits
            self.flow = flow = limits.start(self, flow, self._close_client, self._end_early)
        return self.pending.follow(head, flow)

    def replied(self, reply: Reply) -> Deferred[None] | None:
        self.replied_at = self._context.now()
        self.reply = reply
        try:
            carrying_out = self.pending.complete(reply)
        except Exception:
            return self._fail(Failure())
        if carrying_out is None:
            self._end()
            return None
        return self._end_after(carrying_out.addErrback(self._report))

    def failed(self, failure: Failure) -> Deferred[None]:
        return self._fail(failure)

    def _take(self) -> Event:
        """Take the message out of the inbox, and return the event for it."""
        client, context = self.client, self._context
        message = client.inbox.pop(0)
        payload, is_binary = message.payload, message.is_binary
        self.began_at = message.received_at
        self.pending = PendingReply(context.replies, client, is_binary, payload)
        context.running[client] = self
        identity = client.identity_at(context.replies.wall_time())
        self.event = Event("server", payload, identity, is_binary)
        return self.event

    def _fail(self, failure: Failure, was_asked: bool = True) -> Deferred[None]:
        return self._end_after(maybeDeferred(self._report, failure), was_asked)

    def _report(self, failure: Failure) -> Any:
        """Report the failure of the message, and end its reply.

        :returns: fires when what it has received has been carried out, or ``None``.
        """
        client, replies = self.client, self._context.replies
        subject = f"a message of client {client.id}"
        if self._error is not None:
            failure = Failure(self._error)
        self.failure = failure
        if failure.check(CancelledError, ClientDisconnected):
            self._context.metrics.replies_without_client += 1
            replies.report_cause(subject, self.event, failure)
        else:
            replies.report_failure(subject, self.event, failure, client)
            self._context.failed(client, failure)
        return self.pending.break_off()

    def _end_after(self, ending: Deferred[None], was_asked: bool = True) -> Deferred[None]:
        """End once a Deferred has fired."""
        ending.addErrback(self.log_failure)
        return ending.addCallback(lambda _: self._end(was_asked))

    def _end(self, was_asked: bool = True) -> None:
        """Let the client's next event wait, and free the place in the queue."""
        context, client = self._context, self.client
        context.observers.ended(self, self.event)
        del context.running[client]
        client.expects_stream = self.flow is not None
        if self.flow is not None:
            context.stream_limits.remove(self.flow)
        try:
            context.go_on(client, was_asked)
        finally:
            context.queue.ended(self)

    def _close_client(self) -> None:
        """End a stream that the client reads too slowly, and close the client's connection."""
        self._context.metrics.slow_streams_closed += 1
        self.client.connection.close(
            _POLICY_VIOLATION,
            "the streamed reply is not read fast enough (--stream-pause-timeout)",
            "stream_pause",
        )
        self.asked.cancel()

    def _end_early(self, error: BackendError) -> None:
        """End a stream so that other events can run; the client stays connected."""
        self._error = error
        self.asked.cancel()
