"""A connection to the engine for programs without a reactor: one request after another (RESP2)."""

import socket
from typing import Any

from hiredis import ProtocolError, Reader, ReplyError

from phpgw.bus.connection import EngineError, pack

_MAX_READ = 65536
# Bytes of a reply. The longest is that of INFO, with a few KB.
_MAX_REPLY = 1024**2
_INCOMPLETE = object()


class BlockingClient:
    """A connection to the engine.

    :param connection: has a timeout.
    """

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._reader = Reader(notEnoughData=_INCOMPLETE)

    def ask(self, *words: bytes | int | str) -> Any:
        """Return the reply to a command.

        :raises EngineError: if it is an error.
        :raises OSError: if none comes in time, or it is no reply of an engine.
        """
        self._connection.sendall(pack(words))
        size = 0
        try:
            while (reply := self._reader.gets()) is _INCOMPLETE:
                data = self._connection.recv(_MAX_READ)
                size += len(data)
                if not data or size > _MAX_REPLY:
                    raise OSError("it closes the connection" if not data else "it replies too much")
                self._reader.feed(data)
        except ProtocolError as error:
            raise OSError(f"it does not speak as Redis does ({error})") from None
        if isinstance(reply, ReplyError):
            raise EngineError(str(reply))
        return reply

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()
