"""A peer that sends as much as is taken, and reads nothing."""

import socket
import ssl
import time

from tests.support.real.raw_client import RawClient

# What may be on its way in the kernels' buffers, of which each direction has two.
ON_THE_WAY = 24 * 1024 * 1024
_STUCK_SECONDS = 2.0


class Flood:
    """Somebody who sends the same again and again, and reads nothing.

    :ivar accepted: how many bytes have been taken.
    """

    def __init__(self, name: str, client: RawClient, data: bytes) -> None:
        self.name = name
        self.accepted = 0
        self._block = data * (65536 // len(data) + 1)
        self._socket = client.socket
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self._socket.setblocking(False)
        self._moved_at = time.monotonic()

    def go_on(self) -> bool:
        """Send what is taken; false once that has been nothing for long, or very much."""
        if self.accepted > ON_THE_WAY or time.monotonic() - self._moved_at > _STUCK_SECONDS:
            return False
        try:
            while self.accepted <= ON_THE_WAY:
                self.accepted += self._socket.send(self._block[self.accepted % len(self._block) :])
                self._moved_at = time.monotonic()
        except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
            return True
        except OSError:
            # It was reset.
            return False
        return True
