"""Refuses PHP while there is no PgBouncer, in the protocol of PostgreSQL."""

import socket
import struct
from contextlib import suppress

# How many connections are refused in one go.
_MAX_REFUSED = 1000
# Fields of an ErrorResponse: severity, SQLSTATE (connection_failure), and the message.
_FIELDS = b"SFATAL\0C08006\0Mthe PgBouncer of this pool is not running\0\0"
_ERROR = b"E" + struct.pack("!i", len(_FIELDS) + 4) + _FIELDS


def refuse_waiting(listening: socket.socket) -> None:
    """Close the connections that wait to be accepted, each with an error."""
    listening.setblocking(False)
    for _ in range(_MAX_REFUSED):
        try:
            connection, _address = listening.accept()
        except OSError:
            return
        with connection, suppress(OSError):
            connection.setblocking(False)
            connection.send(_ERROR)
