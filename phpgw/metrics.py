"""The gateway's counters and gauges, each declared once with its description."""

from collections.abc import Iterator

import attrs

from phpgw.histogram import EventMetrics, Histogram
from phpgw.labelled_counts import LabelledCounts
from phpgw.metric_field import (
    MetricDescription,
    MetricFamily,
    counter,
    counter_by,
    describe_fields,
    gauge,
)

# The types of events, as in the field ``type``.
EVENT_TYPES = ("server", "connect", "disconnect", "timer", "upstream")
# Who or what has closed a connection: its client; nobody, since there was no close frame; a ping
# without a response; a command; --on-error; a limit on what is unsent, on a stream, on the rate, or
# on a message; a limit on time; a violation of the protocol; the other nodes of a cluster, which
# have taken this one for dead; the gateway's stop.
CLOSE_CAUSES = (
    *("client", "lost", "ping", "command", "error", "outbox", "stream_pause", "rate", "message"),
    *("idle", "age", "protocol", "cut_off", "stop"),
)
# Why a handshake was refused: it is none, or not proper; for its Origin; because of a limit; since
# another client has its id; by PHP; since PHP could not be asked; as the gateway stops.
REFUSAL_CAUSES = (
    *("invalid", "origin", "max_connections", "max_connections_per_address"),
    *("client_id", "php", "php_failed", "stop"),
)
# What a push can be for: a batch is for all that its commands name, and what cannot be read is for
# nobody.
_PUSH_TARGETS = ("client", "group", "user", "all", "upstream", "batch", "unknown")
COMMAND_OPS = ("send", "join", "leave", "bind", "unbind", "state", "close", "open")


_MESSAGES = MetricFamily("messages", "Messages of clients, and messages to them.")
_REFUSED_EVENTS = MetricFamily("events_refused", "Events that were refused instead of sent to PHP.")
_MESSAGE_BYTES = MetricFamily(
    "message_bytes", "Bytes of the messages of clients, and of the messages to them."
)
_REFUSED_MESSAGES = MetricFamily(
    "messages_refused", "Messages that were refused because of a limit."
)
_PUSHES = MetricFamily("pushes", "Requests to /send and /commands.")
_WITHHELD_REPLIES = MetricFamily("replies_withheld", "Replies that did not reach a client.")
_TIMER_RUNS = MetricFamily("timer_runs", "Runs of timers that were due.")


SUMMARY = ("clients_now", "php_requests_now", "php_failures", "php_requests")
"""The metrics in :meth:`Metrics.summary`."""


@attrs.define
class Metrics:
    """All metrics of a gateway. Code that counts adds to an attribute: this costs nothing more.

    :ivar reactor_lag: how late the reactor makes a call.
    :ivar events: how events have ended, and how long they took, by type.
    """

    clients_now: int = gauge("Clients that are connected.", "clients", name="connections")
    handshakes_accepted: int = counter(
        "Handshakes that opened a connection.", "handshakes", name="connections_opened"
    )
    connections_closed: LabelledCounts = counter_by(
        "reason", CLOSE_CAUSES, "Connections that were open and have ended.", "connections"
    )
    handshakes_refused: LabelledCounts = counter_by(
        "reason", REFUSAL_CAUSES, "Handshakes that were refused, for any reason.", "handshakes"
    )
    handshakes_refused_full: int = counter(
        "Handshakes that were refused because of --max-connections.",
        "handshakes",
        is_exported=False,
    )
    handshakes_refused_per_address: int = counter(
        "Handshakes that were refused because of --max-connections-per-address.",
        "handshakes",
        is_exported=False,
    )
    handshakes_cross_origin: int = counter("Handshakes from pages of another site.", "handshakes")
    http_connections_now: int = gauge(
        "HTTP connections on which no whole request is under way.", "connections"
    )
    http_connections_dropped: int = counter(
        "HTTP connections that were dropped because of --max-http-connections.", "connections"
    )
    requests_timed_out: int = counter(
        "HTTP requests and handshakes that did not arrive within --handshake-timeout.",
        "requests",
        name="http_requests_timed_out",
    )
    messages_received: int = counter(
        "Messages that clients have sent.", "messages", family=_MESSAGES, direction="received"
    )
    messages_sent: int = counter(
        "Messages that were sent to clients.", "messages", family=_MESSAGES, direction="sent"
    )
    message_bytes_received: int = counter(
        "Bytes of messages that clients have sent.",
        "bytes",
        family=_MESSAGE_BYTES,
        direction="received",
    )
    message_bytes_sent: int = counter(
        "Bytes of messages that were sent to clients.",
        "bytes",
        family=_MESSAGE_BYTES,
        direction="sent",
    )
    pushes_delivered: LabelledCounts = counter_by(
        "target",
        _PUSH_TARGETS,
        "Requests to /send and /commands that were carried out.",
        "requests",
        family=_PUSHES,
        outcome="delivered",
    )
    pushes_refused: LabelledCounts = counter_by(
        "target",
        _PUSH_TARGETS,
        "Requests to /send and /commands that were refused.",
        "requests",
        family=_PUSHES,
        outcome="refused",
    )
    commands_run: LabelledCounts = counter_by(
        "op",
        COMMAND_OPS,
        "Commands that were carried out, of any origin.",
        "commands",
        name="commands",
    )
    php_requests: int = counter("Events that were sent to PHP, each counted once.", "events")
    php_requests_now: int = gauge(
        "Events that were sent to PHP and have no reply yet.", "events", name="php_requests_running"
    )
    php_retries: int = counter("Events that were sent to PHP again.", "events")
    php_failures: int = counter("Events that PHP did not reply to as it should.", "events")
    events_waiting_now: int = gauge("Events that wait in the queue.", "events")
    events_waiting_for_worker_now: int = gauge(
        "Events that wait for a worker of PHP-FPM to be free.", "events"
    )
    events_refused_by_overload: int = counter(
        "Events that were refused because of --max-waiting or --waiting-timeout.",
        "events",
        family=_REFUSED_EVENTS,
        reason="overload",
    )
    events_refused_by_breaker: int = counter(
        "Events that were refused because the circuit breaker was open.",
        "events",
        family=_REFUSED_EVENTS,
        reason="breaker",
    )
    breaker_open_now: int = gauge(
        "1 while the circuit breaker is open, 0 otherwise.", "state", merge="max"
    )
    breaker_openings: int = counter("Times that the circuit breaker opened.", "openings")
    held_now: int = gauge(
        "1 while events are held back (/hold), 0 otherwise.", "state", merge="max"
    )
    replies_with_php_errors: int = counter(
        "Replies that were kept back because PHP had printed an error into them.",
        "replies",
        family=_WITHHELD_REPLIES,
        reason="php_error",
    )
    replies_not_for_browsers: int = counter(
        "Replies that were kept back because they had PHP source or commands in them.",
        "replies",
        family=_WITHHELD_REPLIES,
        reason="not_for_browsers",
    )
    replies_without_client: int = counter(
        "Replies whose client had disconnected before.",
        "replies",
        family=_WITHHELD_REPLIES,
        reason="no_client",
    )
    replies_streamed: int = counter("Replies that were streamed.", "replies")
    disconnects_waiting_now: int = gauge(
        "Disconnects that PHP has yet to be told of.", "disconnects"
    )
    disconnects_lost: int = counter("Disconnects that PHP was not told of.", "disconnects")
    disconnects_adopted: int = counter(
        "Disconnects that were taken over from gateways that have died.", "disconnects"
    )
    nodes_now: int = gauge(
        "Nodes that there are, with this one (--bus, --workers); 0 without others.",
        "nodes",
        merge="max",
    )
    timer_runs: int = counter("Runs of timers.", "runs", is_exported=False)
    timer_runs_replied: LabelledCounts = counter_by(
        "timer",
        (),
        "Runs of timers to which PHP has replied.",
        "runs",
        family=_TIMER_RUNS,
        outcome="replied",
    )
    timer_runs_failed: LabelledCounts = counter_by(
        "timer",
        (),
        "Runs of timers on which PHP has failed.",
        "runs",
        family=_TIMER_RUNS,
        outcome="failed",
    )
    timer_runs_skipped: LabelledCounts = counter_by(
        "timer",
        (),
        "Runs of timers that were skipped, because one was under way or their time was missed.",
        "runs",
        family=_TIMER_RUNS,
        outcome="skipped",
    )
    inbox_peak: int = gauge(
        "The most messages of one client that have waited at a time, since the start.",
        "messages",
        merge="max",
    )
    outbox_bytes_peak: int = gauge(
        "The most bytes that have waited for one client at a time, since the start.",
        "bytes",
        name="outbox_peak_bytes",
        merge="max",
    )
    inboxes_full: int = counter(
        "Times that a client was not read for a while because of --max-inbox.", "pauses"
    )
    slow_consumers_closed: int = counter(
        "Connections that were closed because of --max-outbox.",
        "connections",
        is_exported=False,
    )
    slow_streams_closed: int = counter(
        "Connections that were closed because of --stream-pause-timeout.",
        "connections",
        is_exported=False,
    )
    messages_too_large: int = counter(
        "Messages that were refused because of --max-message-size.",
        "messages",
        family=_REFUSED_MESSAGES,
        reason="size",
    )
    frames_too_large: int = counter(
        "Messages that were refused because of --max-frame-size.",
        "messages",
        family=_REFUSED_MESSAGES,
        reason="frame_size",
    )
    messages_too_fragmented: int = counter(
        "Messages that were refused because of --max-fragments.",
        "messages",
        family=_REFUSED_MESSAGES,
        reason="fragments",
    )
    messages_timed_out: int = counter(
        "Messages that were refused because of --message-timeout.",
        "messages",
        family=_REFUSED_MESSAGES,
        reason="timeout",
    )
    unfinished_bytes_now: int = gauge(
        "Bytes of messages of which a part has arrived.", "bytes", name="unfinished_message_bytes"
    )
    unfinished_dropped: int = counter(
        "Messages that were refused because of --max-unfinished.",
        "messages",
        family=_REFUSED_MESSAGES,
        reason="unfinished",
    )
    rate_pauses: int = counter(
        "Times that a client was not read for a while because of --max-message-rate.", "pauses"
    )
    floods_closed: int = counter(
        "Connections that were closed because of --max-message-rate.",
        "connections",
        is_exported=False,
    )
    idle_closed: int = counter(
        "Connections that were closed because of --idle-timeout.",
        "connections",
        is_exported=False,
    )
    old_closed: int = counter(
        "Connections that were closed because of --max-connection-age.",
        "connections",
        is_exported=False,
    )
    reactor_lag: Histogram = attrs.field(factory=Histogram)
    events: dict[str, EventMetrics] = attrs.field(
        factory=lambda: {type_: EventMetrics() for type_ in EVENT_TYPES}
    )

    def as_dict(self) -> dict[str, int]:
        """Return all values by name, without the histograms.

        Of what is counted by a label, it has the sum.
        """
        return {
            each.name: value.total() if isinstance(value, LabelledCounts) else value
            for each in self.describe()
            for value in (getattr(self, each.name),)
        }

    def summary(self) -> str:
        """Return how the gateway fares, in one line, such as for ``systemctl status``."""
        return (
            f"{self.clients_now} clients are connected, PHP works on {self.php_requests_now} "
            f"requests, {self.php_failures} of {self.php_requests} have failed"
        )

    @staticmethod
    def describe() -> Iterator[MetricDescription]:
        """Return the descriptions of all metrics, in the order of :meth:`as_dict`."""
        return describe_fields(Metrics)
