"""What a WebSocket connection may do."""

from typing import Self

import attrs

from phpgw.settings import Settings
from phpgw.websocket.rate_limit import RateLimit

# How many messages of the largest size may be unfinished at once, without --max-unfinished.
_USUAL_UNFINISHED_MESSAGES = 64


@attrs.frozen(kw_only=True)
class WebSocketLimits:
    """Limits of each connection.

    :ivar max_message_size: bytes of a message from the peer, after decompression.
    :ivar max_frame_size: bytes of a frame from the peer, as it comes; ``None`` for a message's.
    :ivar max_fragments: how many frames a message from the peer may have; 0 for any number.
    :ivar max_unfinished: bytes of messages of which a part has come, from all peers.
    :ivar message_timeout: seconds from a message's first byte to its last; 0 for any number.
    :ivar rate_limit: how many messages a second it may send; ``None`` for any number.
    :ivar max_outbox: bytes that may wait for the peer when another message is sent to it.
    :ivar compression: whether permessage-deflate (RFC 7692) is accepted.
    :ivar ping_interval: seconds between pings; 0 for none.
    :ivar ping_timeout: seconds to wait for an answer; 0 for ever.
    :ivar max_plain_size: bytes of a message from the peer that comes in one frame as it is.
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
