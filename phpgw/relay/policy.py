"""Policies: the settings for events and replies."""

from typing import Self

import attrs

from phpgw.backend.event import Handshake
from phpgw.backend.upstream import Upstream
from phpgw.relay.breaker import BreakerPolicy
from phpgw.settings import Settings


@attrs.frozen(kw_only=True)
class RelayPolicy:
    """The policy for sending events to PHP.

    :ivar concurrency: how many events PHP works on at once.
    :ivar inbox_count: how many messages of one client may wait.
    :ivar inbox_size: how many bytes of one client's messages may wait.
    :ivar max_waiting: how many events may wait for PHP, without disconnects.
    :ivar waiting_timeout: how many seconds each may wait; 0 for no timeout.
    :ivar longest_run: after how many seconds a script that has exceeded its timeout counts as
        ended.
    :ivar stream_pause: how many seconds a streamed reply may be paused because its client does not
        read.
    :ivar breaker: when the circuit breaker opens.
    :ivar has_web_server: whether there is a web server before PHP, with error pages of its own.
    :ivar reports_disconnects: whether PHP is told of disconnects.
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
        """Return the policy that the settings state, for this upstream."""
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


@attrs.frozen(kw_only=True)
class ReplyPolicy:
    """The policy for replies.

    :ivar on_error: what a client gets when its message fails: ``ignore`` for nothing, ``close`` for
        the end of its connection, ``reply`` for a message.
    :ivar error_reply: that message, with ``%id%`` in place of the error id, and ``%error%`` in
        place of a description.
    :ivar shows_errors: whether developers get PHP's errors, in that message and in the log.
    :ivar skip_empty_replies: whether empty replies are not sent.
    :ivar hide_php_errors: whether a reply fails if PHP has printed an error into it.
    :ivar max_line: how many bytes a line of a streamed reply may have.
    """

    on_error: str = "ignore"
    error_reply: str = ""
    shows_errors: bool = False
    skip_empty_replies: bool = False
    hide_php_errors: bool = True
    max_line: int

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """Return the policy that the settings state."""
        return cls(
            on_error=settings.on_error,
            error_reply=settings.error_reply,
            shows_errors=settings.dev,
            skip_empty_replies=settings.skip_empty_replies,
            hide_php_errors=settings.hide_php_errors,
            max_line=settings.max_reply_size,
        )
