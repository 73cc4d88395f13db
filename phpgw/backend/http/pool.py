"""Connections to a web server that are kept between requests."""

from typing import Any

from twisted.internet.defer import Deferred, succeed

from phpgw.backend.http.connection import HttpConnection
from phpgw.deadlines import Deadlines


class HttpPool:
    """Keeps idle connections, and uses the one first that was used last.

    :param size: how many there may be; 0 to keep none.
    :param idle_seconds: how long each is kept.
    """

    def __init__(self, reactor: Any, size: int, idle_seconds: float) -> None:
        self._size = size
        self._deadlines: Deadlines[HttpConnection] = Deadlines(reactor, idle_seconds, self._expire)
        # In the order in which they became idle.
        self._idle: dict[HttpConnection, None] = {}
        self._closing: set[HttpConnection] = set()
        self._closed: Deferred[None] | None = None

    def __len__(self) -> int:
        """Return the number of idle connections."""
        return len(self._idle)

    def take(self) -> HttpConnection | None:
        """Return an idle connection; ``None`` if there is none."""
        if not self._idle:
            return None
        connection, _ = self._idle.popitem()
        self._deadlines.stop(connection)
        return connection

    def released(self, connection: HttpConnection) -> None:
        """Keep a connection, or close it."""
        if self._closed is not None or len(self._idle) >= self._size:
            connection.close()
            return
        self._idle[connection] = None
        self._deadlines.start(connection)

    def lost(self, connection: HttpConnection) -> None:
        """Forget a connection that has ended."""
        if connection in self._idle:
            del self._idle[connection]
            self._deadlines.stop(connection)
        self._closing.discard(connection)
        self._notice_closed()

    def close(self) -> Deferred[None]:
        """Close all idle connections, and keep none from now on.

        :returns: fires once they are closed.
        """
        if self._closed is None:
            self._closed = Deferred()
            self._deadlines.close()
            self._closing.update(self._idle)
            self._idle.clear()
            for connection in list(self._closing):
                connection.close()
            self._notice_closed()
        return self._closed if not self._closed.called else succeed(None)

    def _expire(self, connection: HttpConnection) -> None:
        del self._idle[connection]
        connection.close()

    def _notice_closed(self) -> None:
        if self._closed is not None and not self._closing and not self._closed.called:
            self._closed.callback(None)
