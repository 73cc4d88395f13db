"""All outgoing WebSockets of this process."""

from collections.abc import Sequence
from typing import Any

import attrs
from twisted.application.service import Service
from twisted.internet.defer import Deferred, DeferredList

from phpgw.metrics import Metrics
from phpgw.observable import Observable
from phpgw.outgoing.inbox import InboxLimits
from phpgw.outgoing.protocol import OutgoingFactory
from phpgw.outgoing.socket import OutgoingContext, OutgoingSocket
from phpgw.relay.own_events import OwnEvents
from phpgw.settings import Settings
from phpgw.settings.outgoing_url import NamedUpstream
from phpgw.websocket.limits import WebSocketLimits

# What may wait beyond --max-inbox while pings are still answered.
_MAX_WAITING, _MAX_WAITING_MESSAGES = 1000, 4
# Seconds for a server to answer a close frame when the gateway stops.
_CLOSE_SECONDS = 1.0


class OutgoingSockets(Service):
    """A service that keeps the connections to all upstreams.

    :ivar metrics: the numbers of these connections; those of browsers are others.
    :ivar observables: the metrics that these have the numbers of.
    """

    def __init__(self, context: OutgoingContext, upstreams: Sequence[NamedUpstream]) -> None:
        self._context = context
        self._sockets = {each.name: OutgoingSocket(context, each) for each in upstreams}
        self.metrics: Metrics = context.factory.metrics
        self.observables: Sequence[Observable] = _observe(self)

    @classmethod
    def from_settings(
        cls, settings: Settings, reactor: Any, events: OwnEvents
    ) -> "OutgoingSockets":
        """Return those that the settings name."""
        limits = attrs.evolve(WebSocketLimits.from_settings(settings), rate_limit=None)
        size = settings.max_message_size
        context = OutgoingContext(
            reactor=reactor,
            factory=OutgoingFactory(
                reactor=reactor,
                limits=limits,
                metrics=Metrics(),
                handshake_timeout=settings.handshake_timeout,
            ),
            events=events,
            limits=InboxLimits(
                count=settings.max_inbox,
                size=size,
                max_count=settings.max_inbox + _MAX_WAITING,
                max_size=_MAX_WAITING_MESSAGES * size,
            ),
        )
        return cls(context, settings.upstream)

    @property
    def failures(self) -> int:
        """Return how often a connection could not be opened."""
        return self._context.failures.count

    def states(self) -> dict[str, bool]:
        """Return whether each upstream is open, by its name."""
        return {name: each.is_open for name, each in self._sockets.items()}

    def startService(self) -> None:
        """Connect to all servers."""
        super().startService()
        for each in self._sockets.values():
            each.start()

    def stopService(self) -> Deferred[Any]:
        """Close all connections.

        :returns: fires once they have ended; PHP may have to be told of that.
        """
        super().stopService()
        stopping = DeferredList([each.stop("the gateway stops") for each in self._sockets.values()])
        abort = self._context.reactor.callLater(_CLOSE_SECONDS, self._abort)

        def stopped(outcome: object) -> None:
            if abort.active():
                abort.cancel()

        return stopping.addBoth(stopped)

    def _abort(self) -> None:
        for each in self._sockets.values():
            each.abort()


def _observe(sockets: OutgoingSockets) -> tuple[Observable, ...]:
    metrics = sockets.metrics

    def messages() -> dict[tuple[str, ...], float]:
        received = metrics.messages_received
        return {("received",): received, ("sent",): metrics.messages_sent}

    return (
        Observable(
            name="upstream_open",
            help="1 while an outgoing WebSocket is open, 0 otherwise.",
            labels=("upstream",),
            observe=lambda: {(name,): int(value) for name, value in sockets.states().items()},
        ),
        Observable(
            name="upstream_connections_opened",
            help="Outgoing WebSockets that were opened.",
            kind="counter",
            observe=lambda: {(): metrics.handshakes_accepted},
        ),
        Observable(
            name="upstream_connections_closed",
            help="Outgoing WebSockets that were open and have ended.",
            kind="counter",
            labels=("reason",),
            observe=lambda: {(each,): n for each, n in metrics.connections_closed.items() if n},
        ),
        Observable(
            name="upstream_connections_failed",
            help="Outgoing WebSockets that could not be opened.",
            kind="counter",
            observe=lambda: {(): sockets.failures},
        ),
        Observable(
            name="upstream_messages",
            help="Messages on outgoing WebSockets.",
            kind="counter",
            labels=("direction",),
            observe=messages,
        ),
        Observable(
            name="upstream_pauses",
            help="Times that a server was not read for a while, since PHP was slow.",
            kind="counter",
            observe=lambda: {(): metrics.inboxes_full},
        ),
    )
