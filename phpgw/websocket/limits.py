"""The limits of WebSocket connections."""

from typing import Self

import attrs

from phpgw.settings import Settings
from phpgw.websocket.rate_limit import RateLimit

# How many messages of the largest size may be unfinished at once, without --max-unfinished.
_USUAL_UNFINISHED_MESSAGES = 64


@attrs.frozen(kw_only=True)
class WebSocketLimits:
    """The limits of each connection, and of all connections together.

    :ivar max_message_size: bytes of a message from the peer, after decompression.
    :ivar max_frame_size: bytes of a frame from the peer, before decompression; ``None`` if only
        the limit of the message counts.
    :ivar max_fragments: frames of a message from the peer; 0 for no limit.
    :ivar max_unfinished: bytes of partly received messages, of all peers together.
    :ivar message_timeout: seconds from the first byte of a message to its last; 0 for no limit.
    :ivar rate_limit: messages per second from the peer; ``None`` for no limit.
    :ivar max_outbox: unsent bytes up to which another message is sent to the peer.
    :ivar compression: whether permessage-deflate (RFC 7692) is accepted.
    :ivar ping_interval: seconds between pings; 0 for none.
    :ivar ping_timeout: seconds for the peer to respond to a ping; 0 for no timeout.
    :ivar max_plain_size: bytes of an uncompressed message from the peer in a single frame.
    """

    max_message_size: int
    max_frame_size: int | None = None
    max_fragments: int = 0
    max_unfinished: int
    message_timeout: float = 0
    rate_limit: RateLimit | None = None
    max_outbox: int
    compression: bool = False
    ping_interval: float = 0
    ping_timeout: float = 0
    max_plain_size: int = attrs.field(init=False)

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """Return the limits that the settings state."""
        message_size, message_rate = settings.max_message_size, settings.max_message_rate
        max_unfinished = settings.max_unfinished or _USUAL_UNFINISHED_MESSAGES * message_size
        return cls(
            max_message_size=message_size,
            max_frame_size=settings.max_frame_size,
            max_fragments=settings.max_fragments,
            max_unfinished=max(max_unfinished, message_size),
            message_timeout=settings.message_timeout,
            rate_limit=RateLimit(message_rate, settings.rate_patience) if message_rate else None,
            max_outbox=settings.max_outbox,
            compression=settings.compression,
            ping_interval=settings.ping_interval,
            ping_timeout=settings.ping_timeout,
        )

    @max_plain_size.default
    def _max_plain_size(self) -> int:
        largest = self.max_message_size
        return largest if self.max_frame_size is None else min(largest, self.max_frame_size)
