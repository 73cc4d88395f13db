"""What waits for one peer."""

from collections.abc import Callable
from typing import Any

import attrs
from twisted.protocols.policies import ProtocolWrapper
from twisted.protocols.tls import BufferingTLSTransport

# What a message takes beside its payload.
_MESSAGE_SIZE = 100


def unsent_bytes(transport: Any) -> int:
    """Count the bytes that a transport has yet to give to the kernel."""
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
    """Free the bytes that wait in a transport whose connection has ended."""
    while isinstance(transport, ProtocolWrapper):
        if isinstance(transport, BufferingTLSTransport):
            transport._appSendBuffer.clear()
        transport = transport.transport
    if hasattr(transport, "_tempDataBuffer"):
        transport.dataBuffer, transport.offset = b"", 0
        transport._tempDataBuffer, transport._tempDataLen = [], 0


@attrs.define(eq=False)
class Outbox:
    """Holds what a peer cannot take at the moment, and is there only while it cannot.

    The bytes of an open connection wait in its transport, where :func:`unsent_bytes` counts them.

    :ivar limit: bytes that may wait when another message is sent.
    :ivar buffered: bytes that may wait beside those: what a transport takes before it says so.
    :ivar size: bytes of the messages that are kept here.
    :ivar messages: those that wait for the connection to open, each with whether it is binary.
    :ivar ping: what the peer has sent in its last ping, if it was not answered yet.
    :ivar checks: how many pings in a row went without answer while the peer took nothing.
    :ivar written: bytes that were written since something waits.
    :ivar taken: how many of them the peer had taken at the last check, less what waited at first.
    :ivar calls: what is to be called once there is room.
    """

    limit: int
    buffered: int = 0
    size: int = 0
    messages: list[tuple[bytes, bool]] = attrs.field(factory=list)
    ping: bytes | None = None
    checks: int = 0
    written: int = 0
    taken: int | None = None
    calls: list[Callable[[], None]] = attrs.field(factory=list)

    def keep(self, payload: bytes, is_binary: bool) -> bool:
        """Keep a message; false if too much waits already."""
        if self.size > self.limit:
            return False
        self.size += len(payload) + _MESSAGE_SIZE
        self.messages.append((payload, is_binary))
        return True

    def is_full(self, waiting: int) -> bool:
        """Tell whether so much waits that the peer cannot be sent another message."""
        return waiting > self.limit + self.buffered

    def has_room(self, waiting: int) -> bool:
        """Tell whether so little waits that more can be sent without haste."""
        return waiting <= self.limit // 2

    def check(self, waiting: int) -> int:
        """Count a ping without answer; one that has taken something since the last is alive.

        :returns: how many there have been in a row.
        """
        taken = self.written - waiting
        if self.taken is not None and taken > self.taken:
            self.checks = 0
        self.taken = taken
        self.checks += 1
        return self.checks
