"""The metrics of outgoing WebSockets."""

from collections.abc import Callable, Mapping

from phpgw.metrics import Metrics
from phpgw.observable import Observable
from phpgw.outgoing.socket import OutgoingCounts


def observe_outgoing(
    metrics: Metrics, counts: OutgoingCounts, states: Callable[[], Mapping[str, bool]]
) -> tuple[Observable, ...]:
    """Return the metrics of outgoing WebSockets.

    :param metrics: the numbers of their connections.
    :param states: returns whether each upstream is open, by its name.
    """
    return (
        Observable(
            name="upstream_open",
            help="1 while an outgoing WebSocket is open, 0 otherwise.",
            labels=("upstream",),
            observe=lambda: {(name,): int(is_open) for name, is_open in states().items()},
        ),
        _counter(
            "connections_opened",
            "Outgoing WebSockets that were opened.",
            lambda: {(): metrics.handshakes_accepted},
        ),
        _counter(
            "connections_closed",
            "Outgoing WebSockets that were open and have ended.",
            lambda: {(each,): n for each, n in metrics.connections_closed.items() if n},
            "reason",
        ),
        _counter(
            "connections_failed",
            "Outgoing WebSockets that could not be opened.",
            lambda: {(): counts.failures},
        ),
        _counter(
            "messages",
            "Messages on outgoing WebSockets.",
            lambda: {
                ("received",): metrics.messages_received,
                ("sent",): metrics.messages_sent,
            },
            "direction",
        ),
        _counter(
            "messages_dropped",
            "Messages that a newer one of the same key has taken the place of (keep=latest).",
            lambda: {(): counts.replaced},
        ),
        _counter(
            "pauses",
            "Times that a server was not read for a while, since PHP was slow.",
            lambda: {(): metrics.inboxes_full},
        ),
    )


def _counter(
    name: str,
    help_text: str,
    observe: Callable[[], Mapping[tuple[str, ...], float]],
    *labels: str,
) -> Observable:
    return Observable(
        name=f"upstream_{name}", help=help_text, kind="counter", labels=labels, observe=observe
    )
