"""Frames for one peer that go together, in one write.

Of a short message's way through the gateway, the system call is the longest part.
"""

from typing import Any

from twisted.internet.interfaces import IReactorTime

from phpgw.web.write_now import write_now

# Together 64 KB, as much as a transport takes before it has its producer pause.
_LONGEST = 2048
_MOST = 32
# How many peers' frames are written when a turn ends, which takes 2 ms.
_MOST_PEERS = 256


class BatchWriter:
    """Writes to transports, to each in the order in which it was asked to."""

    def __init__(self, reactor: IReactorTime) -> None:
        self._reactor = reactor
        self._batches: dict[Any, list[bytes]] = {}

    def add(self, transport: Any, frame: bytes) -> None:
        """Write a frame once the reactor's turn ends, or before if it is long or one of many.

        Also where there are frames for many others, so that the end of a turn does not take long.

        If the connection has ended by then, nothing is written.
        """
        frames = self._batches.get(transport)
        if len(frame) > _LONGEST or (frames is not None and len(frames) == _MOST):
            self.write(transport, frame)
        elif frames is not None:
            frames.append(frame)
        elif len(self._batches) == _MOST_PEERS:
            write_now(transport, frame)
        else:
            if not self._batches:
                self._reactor.callLater(0, self._write_all)
            self._batches[transport] = [frame]

    def write(self, transport: Any, data: bytes) -> None:
        """Write at once, behind what has been gathered for this transport."""
        if self._batches and transport in self._batches:
            data = b"".join((*self._batches.pop(transport), data))
        write_now(transport, data)

    def _write_all(self) -> None:
        # One by one: a write that fails can lead to others.
        while self._batches:
            transport, frames = self._batches.popitem()
            write_now(transport, b"".join(frames))
