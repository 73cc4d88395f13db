"""The gateway's counters and gauges, each declared once with its description."""

from collections.abc import Iterator, Mapping
from typing import Any, Literal

import attrs

from phpgw.histogram import EventMetrics

_DESCRIPTION = "description"
# The types of events, as in the field ``type``.
EVENT_TYPES = ("server", "connect", "disconnect", "timer")


@attrs.frozen
class MetricFamily:
    """Numbers that an exporter with labels shows as one metric.

    :ivar name: its name there, in the words of Prometheus, without prefix; that of a counter
        without suffix, too.
    :ivar help: a sentence for people.
    """

    name: str
    help: str


@attrs.frozen(kw_only=True)
class MetricDescription:
    """The description of one metric, for exporters.

    :ivar name: its name in ``/stats``, and its attribute in :class:`Metrics`.
    :ivar kind: ``counter`` for a total since the start, ``gauge`` for what is there now.
    :ivar help: a sentence for people.
    :ivar unit: what is counted, in the plural.
    :ivar family: what it has in common with those that differ in their labels alone; most
        metrics are a family of one.
    :ivar labels: what tells it apart within its family.
    """

    name: str
    kind: Literal["counter", "gauge"]
    help: str
    unit: str
    family: MetricFamily
    labels: Mapping[str, str]


def counter(
    help_text: str,
    unit: str,
    *,
    name: str | None = None,
    family: MetricFamily | None = None,
    **labels: str,
) -> Any:
    """Declare a total since the start, which only grows.

    :param name: the name of its family, if it is one of its own and is not called the same.
    """
    return _metric("counter", help_text, unit, name, family, labels)


def gauge(help_text: str, unit: str, *, name: str | None = None) -> Any:
    """Declare a number of what is there now, which grows and shrinks.

    :param name: the name of its family, if it is not called the same.
    """
    return _metric("gauge", help_text, unit, name, None, {})


def _metric(
    kind: str,
    help_text: str,
    unit: str,
    name: str | None,
    family: MetricFamily | None,
    labels: dict[str, str],
) -> Any:
    if name is not None:
        family = MetricFamily(name, help_text)
    facts = {"kind": kind, "help": help_text, "unit": unit, "family": family, "labels": labels}
    return attrs.field(default=0, metadata={_DESCRIPTION: facts})


_MESSAGES = MetricFamily("messages", "Messages of clients, and messages to them.")
_REFUSED_HANDSHAKES = MetricFamily(
    "handshakes_refused_by_limit", "Handshakes that were refused because of a limit."
)
_REFUSED_EVENTS = MetricFamily("events_refused", "Events that were refused instead of sent to PHP.")
_CLOSED_CONNECTIONS = MetricFamily(
    "connections_closed_by_limit", "Connections that were closed because of a limit."
)
_REFUSED_MESSAGES = MetricFamily(
    "messages_refused", "Messages that were refused because of a limit."
)
_PUSHES = MetricFamily("pushes", "Requests to /send and /commands.")
_WITHHELD_REPLIES = MetricFamily("replies_withheld", "Replies that did not reach a client.")
_TIMER_RUNS = MetricFamily("timer_runs", "Runs of timers that were due.")


@attrs.define
class Metrics:
    """All metrics of a gateway. Code that counts adds to an attribute: this costs nothing more.

    :ivar events: how events have ended, and how long they took, by type.
    """

    clients_now: int = gauge("Clients that are connected.", "clients", name="connections")
    handshakes_accepted: int = counter(
        "Handshakes that opened a connection.", "handshakes", name="connections_opened"
    )
    handshakes_refused: int = counter("Handshakes that were refused, for any reason.", "handshakes")
    handshakes_refused_full: int = counter(
        "Handshakes that were refused because of --max-connections.",
        "handshakes",
        family=_REFUSED_HANDSHAKES,
        limit="connections",
    )
    handshakes_refused_per_address: int = counter(
        "Handshakes that were refused because of --max-connections-per-address.",
        "handshakes",
        family=_REFUSED_HANDSHAKES,
        limit="connections_per_address",
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
    pushes_delivered: int = counter(
        "Requests to /send and /commands that were carried out.",
        "requests",
        family=_PUSHES,
        outcome="delivered",
    )
    pushes_refused: int = counter(
        "Requests to /send and /commands that were refused.",
        "requests",
        family=_PUSHES,
        outcome="refused",
    )
    commands_run: int = counter(
        "Commands that were carried out, of any origin.", "commands", name="commands"
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
    breaker_open_now: int = gauge("1 while the circuit breaker is open, 0 otherwise.", "state")
    breaker_openings: int = counter("Times that the circuit breaker opened.", "openings")
    held_now: int = gauge("1 while events are held back (/hold), 0 otherwise.", "state")
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
    timer_runs: int = counter("Runs of timers.", "runs", family=_TIMER_RUNS, outcome="started")
    timer_runs_skipped: int = counter(
        "Runs of timers that were skipped, because one was under way or their time was missed.",
        "runs",
        family=_TIMER_RUNS,
        outcome="skipped",
    )
    inboxes_full: int = counter(
        "Times that a client was not read for a while because of --max-inbox.", "pauses"
    )
    slow_consumers_closed: int = counter(
        "Connections that were closed because of --max-outbox.",
        "connections",
        family=_CLOSED_CONNECTIONS,
        limit="outbox",
    )
    slow_streams_closed: int = counter(
        "Connections that were closed because of --stream-pause-timeout.",
        "connections",
        family=_CLOSED_CONNECTIONS,
        limit="stream_pause",
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
        family=_CLOSED_CONNECTIONS,
        limit="rate",
    )
    idle_closed: int = counter(
        "Connections that were closed because of --idle-timeout.",
        "connections",
        family=_CLOSED_CONNECTIONS,
        limit="idle",
    )
    old_closed: int = counter(
        "Connections that were closed because of --max-connection-age.",
        "connections",
        family=_CLOSED_CONNECTIONS,
        limit="age",
    )
    events: dict[str, EventMetrics] = attrs.field(
        factory=lambda: {type_: EventMetrics() for type_ in EVENT_TYPES}
    )

    def as_dict(self) -> dict[str, int]:
        """Return all values by name, without :attr:`events`."""
        return {each.name: getattr(self, each.name) for each in self.describe()}

    def summary(self) -> str:
        """Return how the gateway fares, in one line, such as for ``systemctl status``."""
        return (
            f"{self.clients_now} clients are connected, PHP works on {self.php_requests_now} "
            f"requests, {self.php_failures} of {self.php_requests} have failed"
        )

    @staticmethod
    def describe() -> Iterator[MetricDescription]:
        """Return the descriptions of all metrics, in the order of :meth:`as_dict`."""
        for field in attrs.fields(Metrics):
            if _DESCRIPTION not in field.metadata:
                continue
            facts = {"name": field.name, **field.metadata[_DESCRIPTION]}
            facts["family"] = facts["family"] or MetricFamily(
                field.name.removesuffix("_now"), facts["help"]
            )
            yield MetricDescription(**facts)
