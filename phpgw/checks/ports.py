"""The gateway's ports: free, or taken and by whom."""

import errno
import os
import socket
from collections.abc import Iterator
from pathlib import Path

from phpgw.checks.addresses import UnixPath
from phpgw.checks.connection_attempt import connect
from phpgw.checks.finding import Finding, Subject
from phpgw.checks.fix_lines import setting
from phpgw.checks.processes import listener_of
from phpgw.checks.situation import Situation
from phpgw.settings.server_address import TcpServer, UnixServer, parse_server_address

PORTS = Subject("ports")
# The first port that users other than root may listen on, by default.
_FIRST_FREE = 1024


def check_ports(situation: Situation) -> Iterator[Finding]:
    """Yield whether the gateway could listen at each of its endpoints. It does not run."""
    for option in ("listen", "api-listen"):
        for endpoint in situation.settings[option]:
            yield _check(option, endpoint)


def _check(option: str, endpoint: str) -> Finding:
    parsed = parse_server_address(endpoint)
    server = None if parsed is None else parsed.server
    if isinstance(server, UnixServer):
        return _check_path(option, server.path)
    if isinstance(server, TcpServer):
        return _check_port(option, server)
    return PORTS.skipped(
        f"--{option} {endpoint}: the address is not known",
        why="An endpoint of a kind whose text names its port or path.",
    )


def _check_port(option: str, address: TcpServer) -> Finding:
    port = address.port
    try:
        _bind(address)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            process = listener_of(port)
            return PORTS.wrong(
                f"Port {port} is taken by {process or 'another program'}",
                why=f"The gateway cannot listen there (--{option}), and does not start.",
                fix=f'{option} = "{port + 1}"',
                where="the gateway's configuration, or stop the other program",
                seen="" if process is None else process.title,
            )
        if error.errno == errno.EACCES:
            return PORTS.wrong(
                f"This user may not listen on port {port}",
                why=f"Ports below {_FIRST_FREE} need a right that only root has by itself.",
                fix="AmbientCapabilities=CAP_NET_BIND_SERVICE",
                where="[Service] in the gateway's unit",
                seen=str(error),
            )
        return PORTS.wrong(
            f"The gateway cannot listen on {address.interface}, port {port} (--{option})",
            why="It does not start.",
            fix=f'{option} = "{port}"',
            where="the gateway's configuration: an address that this machine has",
            seen=str(error),
        )
    return PORTS.ok(f"Port {port} is free (--{option})")


def _bind(address: TcpServer) -> None:
    """Bind a socket to an address for a moment, like Twisted.

    :raises OSError: if that is not possible.
    """
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((address.interface, address.port))


def _check_path(option: str, path: str) -> Finding:
    directory = Path(path).parent
    if not directory.is_dir():
        return PORTS.wrong(
            f"The directory of the socket {path} is not there (--{option})",
            why="The gateway cannot make its socket, and does not start.",
            fix="RuntimeDirectory=phpgw",
            where="[Service] in the gateway's unit, with a socket in /run/phpgw",
            seen=str(directory),
        )
    attempt = connect(UnixPath(path))
    if isinstance(attempt, socket.socket):
        attempt.close()
        return PORTS.wrong(
            f"Another program listens on {path} (--{option})",
            why="The gateway cannot make its socket, and does not start.",
            fix=setting(option, f"{path}.2"),
            where="the gateway's configuration, or stop the other program",
        )
    if not os.access(directory, os.W_OK | os.X_OK):
        return PORTS.wrong(
            f"This user may not make the socket {path} (--{option})",
            why="The gateway does not start.",
            fix="RuntimeDirectory=phpgw",
            where="[Service] in the gateway's unit, with a socket in /run/phpgw",
            seen=f"no right to write in {directory}",
        )
    return PORTS.ok(f"The socket {path} can be made (--{option})")
