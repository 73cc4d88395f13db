"""The fast path for a message to many connections.

Between two clients of a broadcast, a system call has used the processor's caches. So each object of
a client that has to be looked at costs about as much as a call. This looks only at the connection
and its socket. The CPU of a broadcast to 5,000 clients was 1.6 of bare ``socket.send`` calls, and
is 1.2.
"""

from collections.abc import Callable, Sequence
from typing import Any

from phpgw.hub.commands import Target


def message_sender(
    first: Any, payload: bytes, is_binary: bool, target: Target | None = None
) -> Callable[[Sequence[Any]], None]:
    """Return a function that sends a message to connections.

    It does what ``send_message`` of each connection does.

    :param first: the first of them, a :class:`phpgw.websocket.outbound.OutboundProtocol`.
    """
    kind, is_open, metrics = type(first), first.STATE_OPEN, first.factory.metrics
    frame = first.factory.frame_encoder.encode(payload, is_binary, None, target)
    size, payload_size = len(frame), len(payload)

    def send_to(connections: Sequence[Any]) -> None:
        others = 0
        for connection in connections:
            if (
                type(connection) is not kind
                or connection.state != is_open
                or connection.window_bits is not None
                or (idle := connection.idle_socket) is None
            ):
                others += 1
                connection.send_message(payload, is_binary, target)
                continue
            connection.messages_out += 1
            try:
                sent = idle.send(frame)
            except OSError:
                sent = 0
            if sent < size:
                connection.idle_socket = None
                connection.transport.write(frame[sent:] if sent else frame)
        sent_here = len(connections) - others
        metrics.messages_sent += sent_here
        metrics.message_bytes_sent += sent_here * payload_size

    return send_to
