"""How events are relayed to PHP: what the settings say about it."""

from typing import Self

import attrs

from phpgw.backend.event import Handshake
from phpgw.backend.upstream import Upstream
from phpgw.relay.breaker import BreakerPolicy
from phpgw.settings import Settings


@attrs.frozen(kw_only=True)
class RelayPolicy:
    """The rules by which events are relayed.

    :ivar concurrency: how many events PHP works on at once.
    :ivar inbox_count: how many messages of one client may wait.
    :ivar inbox_size: how many bytes of one client may wait.
    :ivar max_waiting: how many events may wait for PHP, beside the word of those who have left.
    :ivar waiting_timeout: seconds for which each may wait; 0 for ever.
    :ivar longest_run: seconds after which a script counts as ended that was not answered in time.
    :ivar stream_pause: seconds for which a streamed reply may wait for its client to read.
    :ivar breaker: when PHP counts as being in trouble.
    :ivar has_web_server: whether there is a web server before PHP, with error pages of its own.
    :ivar reports_disconnects: whether PHP is told of clients that have left.
    :ivar no_client: the handshake of events that are about no client.
    """

    concurrency: int
    inbox_count: int
    inbox_size: int
    max_waiting: int = 10_000
    waiting_timeout: float = 0
    longest_run: float = 600
    stream_pause: float = 10
    breaker: BreakerPolicy = attrs.field(factory=BreakerPolicy)
    has_web_server: bool = False
    reports_disconnects: bool = False
    no_client: Handshake

    @classmethod
    def from_settings(cls, settings: Settings, upstream: Upstream) -> Self:
        """Return the rules that the settings state, for this upstream."""
        no_client = Handshake(
            peer_host="127.0.0.1",
            peer_port=0,
            server_host="127.0.0.1",
            server_port=0,
            is_secure=False,
            host=b"localhost",
            # Where a framework finds the same route as for messages.
            path=settings.ws_path.encode(),
            query=b"",
            headers=(),
        )
        return cls(
            concurrency=upstream.concurrency,
            inbox_count=settings.max_inbox,
            inbox_size=settings.max_message_size,
            max_waiting=settings.max_waiting,
            waiting_timeout=settings.waiting_timeout,
            longest_run=settings.php_max_run,
            stream_pause=settings.stream_pause_timeout,
            breaker=BreakerPolicy(
                failures=settings.breaker_failures, statuses=upstream.outage_statuses
            ),
            has_web_server=upstream.has_web_server,
            reports_disconnects="disconnect" in settings.events,
            no_client=no_client,
        )
