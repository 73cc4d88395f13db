"""Batching of frames: one write for several frames to the same peer.

For a short message, the system call takes longer than all other work in the gateway.
"""

from socket import socket
from typing import Any

from twisted.internet.interfaces import IReactorTime

from phpgw.transport.socket_reactor import call_soon_of
from phpgw.transport.write_now import write_now

# Together 64 KB: a transport buffers as much before it pauses its producer.
_MAX_FRAME_SIZE = 2048
_MAX_FRAMES = 32
# Batches in one turn of the reactor; writing them takes 2 ms.
_MAX_PEERS = 256


class BatchWriter:
    """Writes frames to transports in batches; keeps the order of the frames of each transport."""

    def __init__(self, reactor: IReactorTime) -> None:
        self._call_soon = call_soon_of(reactor)
        self._batches: dict[Any, list[bytes]] = {}

    def add(self, transport: Any, frame: bytes) -> None:
        """Add a frame to the transport's batch, which is written soon, by the reactor.

        Write it at once if it is long, if the batch is full, or if there are too many batches. A
        batch is dropped if its connection ends before it is written.
        """
        frames = self._batches.get(transport)
        if len(frame) > _MAX_FRAME_SIZE or (frames is not None and len(frames) == _MAX_FRAMES):
            self.write(transport, frame)
        elif frames is not None:
            frames.append(frame)
        elif len(self._batches) == _MAX_PEERS:
            write_now(transport, frame)
        else:
            if not self._batches:
                self._call_soon(self._write_all)
            self._batches[transport] = [frame]

    def write(self, transport: Any, data: bytes) -> socket | None:
        """Write the transport's batch and then these bytes, at once.

        :returns: the socket if all was sent; see :func:`phpgw.transport.write_now.write_now`.
        """
        if self._batches and transport in self._batches:
            data = b"".join((*self._batches.pop(transport), data))
        return write_now(transport, data)

    def _write_all(self) -> None:
        # One by one: a write that fails can add frames for other transports.
        while self._batches:
            transport, frames = self._batches.popitem()
            write_now(transport, b"".join(frames))
