"""What the gateway counts, each number named once."""

import attrs


@attrs.define
class Metrics:
    """Totals since the start, and what is there now (``*_now``)."""

    clients_now: int = 0
    handshakes_accepted: int = 0
    handshakes_refused: int = 0
    messages_received: int = 0
    messages_sent: int = 0
    pushes_delivered: int = 0
    pushes_refused: int = 0
    commands_run: int = 0
    php_requests: int = 0
    php_requests_now: int = 0
    php_retries: int = 0
    php_failures: int = 0
    replies_without_client: int = 0
    replies_streamed: int = 0
    disconnects_waiting_now: int = 0
    disconnects_lost: int = 0
    timer_runs: int = 0
    timer_runs_skipped: int = 0
    slow_consumers_closed: int = 0

    def as_dict(self) -> dict[str, int]:
        """All numbers by name."""
        return attrs.asdict(self)
