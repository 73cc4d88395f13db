"""A client of MySQL that sends what no driver sends. It blocks."""

import os
import socket
from pathlib import Path
from typing import Self

from phpgw.pools.mysql.capabilities import Capability
from phpgw.pools.mysql.packets import HEAD_SIZE, MySqlPacket
from phpgw.pools.mysql.server_login import Account, ServerLogin
from phpgw.pools.mysql.session_key import SessionKey

_KEY = SessionKey(b"shop", Capability.MULTI_STATEMENTS | Capability.MULTI_RESULTS, 45)


class RawMySqlClient:
    """A client that is logged in.

    :param size: how many bytes it sends at once; all of them if it is 0.
    """

    def __init__(self, path: Path, *, user: str = "any", password: str = "", size: int = 0) -> None:
        self._size = size
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(20)
        self._socket.connect(os.fspath(path))
        account = Account(user.encode(), password.encode())
        login = ServerLogin(account, _KEY, uses_tls=False, is_private=True)
        while login.answer is None:
            self.send(login.receive(self.read_packet()))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Break off."""
        self._socket.close()

    def send(self, data: bytes) -> None:
        """Send bytes."""
        step = self._size or len(data) or 1
        for start in range(0, len(data), step):
            self._socket.sendall(data[start : start + step])

    def read_packet(self) -> MySqlPacket:
        """Return the next packet.

        :raises EOFError: if the connection is closed.
        """
        head = int.from_bytes(self._read(HEAD_SIZE), "little")
        return MySqlPacket(head >> 24, self._read(head & 0xFFFFFF))

    def read_packets(self, count: int) -> list[bytes]:
        """Return the payloads of the next packets."""
        return [self.read_packet().payload for _ in range(count)]

    def is_closed(self) -> bool:
        """Wait for the next byte, and return whether there is none."""
        try:
            return not self._socket.recv(1)
        except ConnectionResetError:
            return True

    def _read(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            more = self._socket.recv(size - len(data))
            if not more:
                raise EOFError
            data += more
        return data
