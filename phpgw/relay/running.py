"""Messages that PHP works on."""

from collections.abc import Callable
from typing import Any

import attrs
from twisted.internet.defer import Deferred

from phpgw.backend.errors import BackendError
from phpgw.backend.reply import FlowControl, Head
from phpgw.hub.client import Client
from phpgw.metrics import Metrics
from phpgw.relay.fifo import QueuedEvent
from phpgw.relay.replies import PendingReply
from phpgw.relay.reply_reader import is_stream
from phpgw.relay.stream_limits import LimitedFlow, StreamLimits

_POLICY_VIOLATION = 1008


@attrs.define(eq=False)
class RunningMessage:
    """A client's message that PHP works on.

    :ivar queued: its entry in the queue.
    :ivar reply: what is done with PHP's reply.
    :ivar asked: fires when it has ended; can be cancelled.
    :ivar flow: controls the flow of the reply, if that is streamed.
    :ivar error: why the gateway has ended it early, if it has done so for other events.
    """

    client: Client
    queued: QueuedEvent
    reply: PendingReply
    _stream_limits: StreamLimits
    _metrics: Metrics
    asked: Deferred[Any] = attrs.field(init=False)
    flow: LimitedFlow | None = None
    error: BackendError | None = None

    def follow(self, head: Head, flow: FlowControl) -> Callable[[bytes], None] | None:
        """See :data:`phpgw.backend.reply.Follow`; a streamed reply is put under its limits."""
        if is_stream(head) and not self.client.is_disconnected:
            limits = self._stream_limits
            self.flow = flow = limits.start(self.queued, flow, self._close_client, self._end_early)
        return self.reply.follow(head, flow)

    def _close_client(self) -> None:
        """End a stream that the client reads too slowly, and close the client's connection."""
        self._metrics.slow_streams_closed += 1
        self.client.connection.close(
            _POLICY_VIOLATION, "the streamed reply is not read fast enough (--stream-pause-timeout)"
        )
        self.asked.cancel()

    def _end_early(self, error: BackendError) -> None:
        """End a stream so that other events can run; the client stays connected."""
        self.error = error
        self.asked.cancel()
