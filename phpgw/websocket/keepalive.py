"""Keepalive: pings, and a timeout if the peer does not respond."""

from typing import Any, Protocol

from phpgw.deadlines import Deadlines


class PingedConnection(Protocol):
    """A connection that is kept alive.

    :ivar has_data: whether the peer has sent data since the last ping. The connection sets it.
    :ivar ping_deadlines: in which of its deadlines the keepalive has it; ``None`` at first.
    """

    has_data: bool
    ping_deadlines: "Deadlines[PingedConnection] | None"

    def sendPing(self) -> None:  # noqa: N802
        """Send a ping."""

    def note_response(self) -> None:
        """Note that the peer has sent data since the last ping."""

    def end_silent(self) -> None:
        """End the connection, since its peer has sent nothing for the length of the timeout."""


class KeepAlive:
    """The keepalive of connections: RFC 6455, section 5.5.2. All data counts as a pong.

    It has no timer and no object for each connection.

    :param interval: seconds between two pings.
    :param timeout: seconds for the peer to send anything after a ping, at most the interval; 0 for
        no timeout.
    """

    def __init__(self, reactor: Any, interval: float, timeout: float) -> None:
        self._timeout = timeout
        self._intervals: Deadlines[PingedConnection] = Deadlines(reactor, interval, self._ping)
        self._responses: Deadlines[PingedConnection] = Deadlines(reactor, timeout, self._check)
        self._rests: Deadlines[PingedConnection] = Deadlines(
            reactor, interval - timeout, self._ping
        )

    def start(self, connection: PingedConnection) -> None:
        """Start; send the first ping after one interval."""
        self._wait(connection, self._intervals)

    def stop(self, connection: PingedConnection) -> None:
        """Stop: send no more pings to the peer, and do not wait for it."""
        deadlines, connection.ping_deadlines = connection.ping_deadlines, None
        if deadlines is not None:
            deadlines.stop(connection)

    def _wait(self, connection: PingedConnection, deadlines: "Deadlines[PingedConnection]") -> None:
        connection.ping_deadlines = deadlines
        deadlines.start(connection)

    def _ping(self, connection: PingedConnection) -> None:
        if connection.has_data:
            connection.has_data = False
            connection.note_response()
        # First, since sending can end the connection.
        self._wait(connection, self._responses if self._timeout else self._intervals)
        connection.sendPing()

    def _check(self, connection: PingedConnection) -> None:
        if connection.has_data:
            self._wait(connection, self._rests)
        else:
            connection.end_silent()
