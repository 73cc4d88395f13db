"""The probe of a silent connection, which each proxy and router in between may cut."""

import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from math import ceil

from phpgw.checks.finding import Finding, Subject
from phpgw.checks.public_connection import PublicConnections
from phpgw.checks.public_request import exchange, handshake

IDLE_CUT = Subject("idle-cut")
_MAX_READ = 4096
# A cut in the middle between two pings is late enough.
_MARGIN = 1.5


def check_idle(
    connections: PublicConnections, token: str, origin: str, seconds: float, ping_interval: float
) -> Iterator[Finding]:
    """Yield whether a connection on which nothing is sent lasts for so many seconds.

    :param ping_interval: in seconds; 0 if there are no pings.
    """
    try:
        with connections.open() as connection:
            response = exchange(connection, handshake(connections.url, token, origin))
            if response.status != 101:
                yield IDLE_CUT.skipped(
                    "There was no connection to wait on", why="A handshake that is accepted."
                )
                return
            lasted = _wait(connection, seconds)
    except OSError as error:
        yield IDLE_CUT.skipped(f"There was no connection to wait on ({error})", why="A connection.")
        return
    if lasted is None:
        yield IDLE_CUT.ok(f"A silent connection lasts for {seconds:g} s")
    elif ping_interval and lasted > ping_interval * _MARGIN:
        yield IDLE_CUT.ok(
            f"A silent connection is cut after {lasted:.0f} s; pings come every {ping_interval:g} s"
        )
    else:
        yield _cut(lasted, ping_interval)


def _wait(connection: socket.socket, seconds: float) -> float | None:
    """Return after how many seconds a connection ends; ``None`` if it lasts."""
    began_at = time.monotonic()
    until = began_at + seconds
    with suppress(TimeoutError):
        while (left := until - time.monotonic()) > 0:
            connection.settimeout(left)
            try:
                if not connection.recv(_MAX_READ):
                    return time.monotonic() - began_at
            except ConnectionError:
                return time.monotonic() - began_at
    return None


def _cut(lasted: float, ping_interval: float) -> Finding:
    pings = f"a ping comes only every {ping_interval:g} s" if ping_interval else "pings are off"
    return IDLE_CUT.wrong(
        f"A silent connection is cut after {lasted:.0f} s, and {pings}",
        why="Clients are disconnected again and again (code 1006).",
        fix=f"proxy_read_timeout {max(90, ceil(ping_interval * 3))}s;",
        where="the proxy's configuration, in the location of the WebSocket; or a ping-interval of "
        f"{max(1, int(lasted / 2))} s",
        seen=f"end of the connection after {lasted:.1f} s, without a close frame",
    )
