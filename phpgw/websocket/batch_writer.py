"""Batching of frames: one write for several frames to the same peer.

For a short message, the system call takes longer than all other work in the gateway.
"""

from socket import socket
from typing import Any, Protocol

from twisted.internet.interfaces import IReactorTime

from phpgw.transport.socket_reactor import call_soon_of
from phpgw.transport.write_now import write_now

# Together 64 KB: a transport buffers as much before it pauses its producer.
_MAX_FRAME_SIZE = 2048
_MAX_FRAMES = 32
# Batches in one turn of the reactor; writing them takes 2 ms.
_MAX_PEERS = 256


class BatchedConnection(Protocol):
    """A connection with a transport.

    :ivar transport: ``None`` once it has ended.
    :ivar idle_socket: see :class:`phpgw.websocket.autobahn_slim.SlimProtocol`.
    """

    transport: Any
    idle_socket: socket | None


class BatchWriter:
    """Writes frames of connections in batches; keeps the order of the frames of each connection."""

    def __init__(self, reactor: IReactorTime) -> None:
        self._call_soon = call_soon_of(reactor)
        self._batches: dict[BatchedConnection, list[bytes]] = {}

    def add(self, connection: BatchedConnection, frame: bytes) -> None:
        """Add a frame to the connection's batch, which is written soon, by the reactor.

        Write it at once if it is long, if the batch is full, or if there are too many batches. A
        batch is dropped if its connection ends before it is written.
        """
        frames = self._batches.get(connection)
        if len(frame) > _MAX_FRAME_SIZE or (frames is not None and len(frames) == _MAX_FRAMES):
            self.write(connection, frame)
        elif frames is not None:
            frames.append(frame)
        elif len(self._batches) == _MAX_PEERS:
            self.write(connection, frame)
        else:
            if not self._batches:
                self._call_soon(self._write_all)
            connection.idle_socket = None
            self._batches[connection] = [frame]

    def write(self, connection: BatchedConnection, data: bytes) -> None:
        """Write the connection's batch and then these bytes, at once; set its idle socket."""
        if self._batches and connection in self._batches:
            data = b"".join((*self._batches.pop(connection), data))
        connection.idle_socket = write_now(connection.transport, data)

    def _write_all(self) -> None:
        # One by one: a write that fails can add frames for other connections.
        while self._batches:
            connection, frames = self._batches.popitem()
            if connection.transport is not None:
                connection.idle_socket = write_now(connection.transport, b"".join(frames))
