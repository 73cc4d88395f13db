"""What waits for one peer."""

from collections.abc import Callable

import attrs

# What a message takes beside its payload.
_MESSAGE_SIZE = 100


@attrs.define(eq=False)
class Outbox:
    """Holds what a peer cannot take at the moment, and is there only while it cannot.

    The bytes of an open connection wait in its transport, and are only counted here.

    :ivar limit: bytes that may wait when another message is sent.
    :ivar size: bytes that wait.
    :ivar messages: those that wait for the connection to open, each with whether it is binary.
    :ivar ping: what the peer has sent in its last ping.
    :ivar checks: how many pings went without answer since something waits.
    :ivar calls: what is to be called once nothing waits.
    """

    limit: int
    size: int = 0
    messages: list[tuple[bytes, bool]] = attrs.field(factory=list)
    ping: bytes | None = None
    checks: int = 0
    calls: list[Callable[[], None]] = attrs.field(factory=list)

    def count(self, size: int) -> bool:
        """Count in what is about to be sent; false if too much waits already."""
        if self.size > self.limit:
            return False
        self.size += size
        return True

    def keep(self, payload: bytes, is_binary: bool) -> bool:
        """Keep a message; false if too much waits already."""
        has_room = self.count(len(payload) + _MESSAGE_SIZE)
        if has_room:
            self.messages.append((payload, is_binary))
        return has_room
