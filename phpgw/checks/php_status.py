"""The status page of a pool, over FastCGI.

It is served by a worker like any script, so that a full pool answers late: ``pm.status_listen``
gives it a worker of its own.
"""

import json
import socket
import time
from pathlib import Path

import attrs

from phpgw.backend.errors import BackendError
from phpgw.backend.fastcgi.records import FastCgiDecoder, encode_params, encode_request
from phpgw.backend.fpm.installed import parse_listen
from phpgw.checks.addresses import Address, HostPort, UnixPath
from phpgw.checks.connection_attempt import Refused, connect

_TIMEOUT = 1.0
_MAX_SIZE = 65536
_MAX_READ = 16384


class StatusUnknown(Exception):
    """There is no status. The text says why.

    :ivar is_late: whether the page was not served in time, since no worker is idle.
    """

    def __init__(self, reason: str, *, is_late: bool = False) -> None:
        super().__init__(reason)
        self.is_late = is_late


@attrs.frozen
class PoolStatus:
    """The status of a pool.

    :ivar queue: requests that wait for a worker; always 0 on a UNIX socket.
    :ivar active: busy workers.
    :ivar total: all workers.
    :ivar limit_reached: how often ``pm.max_children`` was reached since PHP-FPM started.
    """

    queue: int
    active: int
    total: int
    limit_reached: int


def read_status(listen: str, path: str) -> PoolStatus:
    """Return the status of a pool, within a second.

    :param listen: the value of ``pm.status_listen`` or ``listen``.
    :param path: the value of ``pm.status_path``.
    :raises StatusUnknown: if there is none.
    """
    attempt = connect(listen_address(listen), _TIMEOUT)
    if isinstance(attempt, Refused):
        raise StatusUnknown(f"cannot be asked for ({attempt.text})")
    with attempt:
        attempt.settimeout(_TIMEOUT)
        try:
            output = _ask(attempt, path)
        except TimeoutError:
            raise StatusUnknown("took longer than 1 s", is_late=True) from None
        except (OSError, BackendError) as error:
            raise StatusUnknown(f"cannot be read ({error})") from None
    _, _, body = output.partition(b"\r\n\r\n")
    try:
        status = json.loads(body)
        return PoolStatus(
            queue=int(status["listen queue"]),
            active=int(status["active processes"]),
            total=int(status["total processes"]),
            limit_reached=int(status["max children reached"]),
        )
    except (ValueError, KeyError, TypeError):
        raise StatusUnknown("cannot be read") from None


def _ask(connection: socket.socket, path: str) -> bytes:
    """Return the output of the status page.

    :raises TimeoutError: if it takes too long.
    :raises BackendError: if what comes is not FastCGI.
    """
    name = path.encode()
    pairs = (
        *((b"REQUEST_METHOD", b"GET"), (b"QUERY_STRING", b"json"), (b"SCRIPT_NAME", name)),
        *((b"SCRIPT_FILENAME", name), (b"REQUEST_URI", name), (b"SERVER_PROTOCOL", b"HTTP/1.1")),
    )
    connection.sendall(encode_request(encode_params(pairs), b"", b""))
    decoder = FastCgiDecoder(_MAX_SIZE)
    until = time.monotonic() + _TIMEOUT
    while data := connection.recv(_MAX_READ):
        if decoder.receive(data):
            break
        if time.monotonic() > until:
            raise TimeoutError
    return decoder.output


def listen_address(listen: str) -> Address:
    """Return the address in a pool's ``listen``."""
    if listen.startswith("/"):
        return UnixPath(str(Path(listen)))
    host, port = parse_listen(listen)
    return HostPort(host, port)
