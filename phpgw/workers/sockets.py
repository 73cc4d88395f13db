"""The listening sockets of the workers, which their parent opens and keeps.

Each worker has a TCP socket of its own for each endpoint (SO_REUSEPORT), among which the kernel
spreads the connections evenly. The connections that wait in a socket outlive its worker, since the
parent keeps the socket for the next one. UNIX sockets, and those of a service manager, are one for
all workers.
"""

import os
import socket
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Self

import attrs

from phpgw.process.server_endpoint import BACKLOG, DEFAULT_MODE, takes_both_families
from phpgw.process.socket_activation import NoInheritedSocket, find_descriptor
from phpgw.process.tls import split_tls_endpoint
from phpgw.process.unix_socket import SocketFile, listen_at
from phpgw.settings.endpoint_text import parse_arguments, split_parts
from phpgw.settings.option import InvalidOption

_EXPECTED = "with --workers, an endpoint of the kind tcp, tcp6, unix or systemd"


@attrs.frozen
class _Opened:
    """The sockets of one endpoint.

    :ivar text: the endpoint, without TLS and the PROXY protocol.
    :ivar sockets: one for each worker, or one for all of them.
    :ivar file: the file of a UNIX socket that the parent has made.
    """

    text: str
    sockets: Sequence[socket.socket]
    file: SocketFile | None = None


class ListeningSockets:
    """The listening sockets of all workers."""

    def __init__(self, opened: Sequence[_Opened]) -> None:
        self._opened = opened

    @classmethod
    def open(cls, option: str, endpoints: Iterable[str], count: int) -> Self:
        """Open the sockets of endpoints.

        :param option: the option that names them, for error messages.
        :param endpoints: in the form that :class:`phpgw.process.listener.Listener` takes.
        :param count: the number of workers.
        :raises InvalidOption: if several processes cannot share such an endpoint.
        :raises SystemExit: with status 1 and a line of explanation, if one cannot be opened.
        """
        return cls([_open(option, endpoint, count) for endpoint in endpoints])

    def for_worker(self, number: int) -> dict[str, int]:
        """Return the descriptors of a worker's sockets, by the texts of their endpoints.

        :param number: the worker's, counted from 0.
        """
        return {
            each.text: each.sockets[number % len(each.sockets)].fileno() for each in self._opened
        }

    def close(self) -> None:
        """Close the sockets. Those that workers have stay open there."""
        for opened in self._opened:
            for each in opened.sockets:
                each.close()

    def remove_files(self) -> None:
        """Delete the files of UNIX sockets."""
        for opened in self._opened:
            if opened.file is not None:
                opened.file.remove()


def _open(option: str, endpoint: str, count: int) -> _Opened:
    try:
        return _open_below_protocols(_below_protocols(endpoint), count)
    except NoInheritedSocket as error:
        raise InvalidOption(option, str(error), repr(endpoint)) from None
    except (ValueError, TypeError) as error:
        raise InvalidOption(option, f"{_EXPECTED} ({error})", repr(endpoint)) from None
    except OSError as error:
        sys.exit(f"phpgw: --{option}: cannot listen on {endpoint!r}: {error}")


def _open_below_protocols(text: str, count: int) -> _Opened:
    kind, *parts = split_parts(text)
    positional, named = parse_arguments(parts)
    match kind:
        case "systemd":
            named.pop("domain", None)
            return _Opened(text, [_inherited(*positional, **named)])
        case "unix" if "lockfile" not in named:
            return _open_unix(text, *positional, **named)
        case "tcp" | "tcp6":
            anywhere = "::" if kind == "tcp6" or takes_both_families() else "0.0.0.0"
            return _Opened(text, _open_tcp(count, anywhere, *positional, **named))
    raise ValueError(f"not of the kind {kind}")


def _below_protocols(endpoint: str) -> str:
    """Return the endpoint below TLS and the PROXY protocol."""
    text, _ = split_tls_endpoint(endpoint)
    while text.startswith("haproxy:"):
        text = text.partition(":")[2]
    return text


def _open_tcp(
    count: int, anywhere: str, port: str, interface: str = "", backlog: str = str(BACKLOG)
) -> list[socket.socket]:
    """Open a socket for each worker; the port 0 is a free one, the same for all."""
    address = (interface or anywhere, int(port))
    # A gateway of the same user that is there already would share its port with this one.
    _bind_tcp(*address).close()
    sockets: list[socket.socket] = []
    try:
        for _ in range(count):
            opened = _bind_tcp(*address, is_shared=True)
            sockets.append(opened)
            address = (address[0], opened.getsockname()[1])
        # Not before all are bound, so that the spread is even from the start.
        for opened in sockets:
            opened.listen(int(backlog))
    except OSError:
        for opened in sockets:
            opened.close()
        raise
    return sockets


def _bind_tcp(host: str, port: int, *, is_shared: bool = False) -> socket.socket:
    family, kind, protocol, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    bound = socket.socket(family, kind, protocol)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if is_shared:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        bound.bind(address)
    except OSError:
        bound.close()
        raise
    bound.setblocking(False)
    return bound


def _open_unix(
    text: str, address: str, mode: str = DEFAULT_MODE, backlog: str = str(BACKLOG)
) -> _Opened:
    path = Path(address).absolute()
    opened = listen_at(path, int(mode, 8), int(backlog))
    opened.setblocking(False)
    return _Opened(text, [opened], SocketFile.at(path))


def _inherited(*positional: str, **named: str) -> socket.socket:
    inherited = socket.socket(fileno=find_descriptor(os.environ, *positional, **named))
    inherited.set_inheritable(False)
    inherited.setblocking(False)
    return inherited
