"""What the gateway counts, each number named once."""

import attrs


@attrs.define
class Metrics:
    """Totals since the start, and what is there now (``*_now``)."""

    clients_now: int = 0
    handshakes_accepted: int = 0
    handshakes_refused: int = 0
    handshakes_refused_full: int = 0
    handshakes_refused_per_address: int = 0
    handshakes_cross_origin: int = 0
    http_connections_now: int = 0
    http_connections_dropped: int = 0
    requests_timed_out: int = 0
    messages_received: int = 0
    messages_sent: int = 0
    pushes_delivered: int = 0
    pushes_refused: int = 0
    commands_run: int = 0
    php_requests: int = 0
    php_requests_now: int = 0
    php_retries: int = 0
    php_failures: int = 0
    events_waiting_now: int = 0
    events_waiting_for_worker_now: int = 0
    events_refused_by_overload: int = 0
    events_refused_by_breaker: int = 0
    breaker_open_now: int = 0
    breaker_openings: int = 0
    held_now: int = 0
    replies_with_php_errors: int = 0
    replies_not_for_browsers: int = 0
    replies_without_client: int = 0
    replies_streamed: int = 0
    disconnects_waiting_now: int = 0
    disconnects_lost: int = 0
    timer_runs: int = 0
    timer_runs_skipped: int = 0
    inboxes_full: int = 0
    slow_consumers_closed: int = 0
    slow_streams_closed: int = 0
    messages_too_large: int = 0
    frames_too_large: int = 0
    messages_too_fragmented: int = 0
    messages_timed_out: int = 0
    unfinished_bytes_now: int = 0
    unfinished_dropped: int = 0
    rate_pauses: int = 0
    floods_closed: int = 0
    idle_closed: int = 0
    old_closed: int = 0

    def as_dict(self) -> dict[str, int]:
        """All numbers by name."""
        return attrs.asdict(self)
