"""The outbox: what a connection could not send yet, since its peer reads slowly."""

from collections.abc import Callable
from typing import Any

import attrs
from twisted.protocols.policies import ProtocolWrapper
from twisted.protocols.tls import BufferingTLSTransport

from phpgw.hub.commands import Target

# Memory that a message takes beside its payload, in bytes.
_MESSAGE_OVERHEAD = 100


def unsent_bytes(transport: Any) -> int:
    """Return the number of bytes that a transport has not written to its socket yet."""
    size = 0
    while isinstance(transport, ProtocolWrapper):
        if isinstance(transport, BufferingTLSTransport):
            size += sum(map(len, transport._appSendBuffer))
            size += sum(map(len, getattr(transport._aggregator, "_buffer", ())))
        transport = transport.transport
    if hasattr(transport, "dataBuffer"):
        size += len(transport.dataBuffer) - transport.offset + transport._tempDataLen
    return size


def drop_unsent(transport: Any) -> None:
    """Free the unsent bytes of a transport whose connection has ended."""
    while isinstance(transport, ProtocolWrapper):
        if isinstance(transport, BufferingTLSTransport):
            transport._appSendBuffer.clear()
        transport = transport.transport
    if hasattr(transport, "_tempDataBuffer"):
        transport.dataBuffer, transport.offset = b"", 0
        transport._tempDataBuffer, transport._tempDataLen = [], 0


@attrs.define(eq=False)
class Outbox:
    """The state of a connection while its peer reads more slowly than it is sent messages.

    A connection has an outbox only in that time, and while it is pending. The unsent bytes of an
    open connection are in its transport: :func:`unsent_bytes` counts them.

    :ivar limit: unsent bytes up to which another message is sent.
    :ivar buffered: bytes that do not count: those that the transport buffered before it paused us.
    :ivar size: bytes of the messages in :attr:`messages`.
    :ivar messages: those of a pending connection; each with whether it is binary, and its target.
    :ivar ping: the payload of the peer's last ping, if it got no pong yet.
    :ivar unanswered_pings: pings in a row without a response, while the peer has read nothing.
    :ivar written: bytes that were written since there is an outbox.
    :ivar taken: bytes of these that were sent at the last ping, less those unsent before.
    :ivar callbacks: called once there is room.
    """

    limit: int
    buffered: int = 0
    size: int = 0
    messages: list[tuple[bytes, bool, Target | None]] = attrs.field(factory=list)
    ping: bytes | None = None
    unanswered_pings: int = 0
    written: int = 0
    taken: int | None = None
    callbacks: list[Callable[[], None]] = attrs.field(factory=list)

    def keep(self, payload: bytes, is_binary: bool, target: Target | None = None) -> bool:
        """Keep a message until the connection opens; return ``False`` if the limit is reached."""
        if self.size > self.limit:
            return False
        self.size += len(payload) + _MESSAGE_OVERHEAD
        self.messages.append((payload, is_binary, target))
        return True

    def is_full(self, unsent: int) -> bool:
        """Return whether the limit is reached, so that no other message is sent."""
        return unsent > self.limit + self.buffered

    def has_room(self, unsent: int) -> bool:
        """Return whether at most half of the limit is unsent."""
        return unsent <= self.limit // 2

    def count_ping(self, unsent: int) -> int:
        """Count a ping without a response; start again if the peer has read since the last one.

        :returns: the number of such pings in a row.
        """
        taken = self.written - unsent
        if self.taken is not None and taken > self.taken:
            self.unanswered_pings = 0
        self.taken = taken
        self.unanswered_pings += 1
        return self.unanswered_pings
