"""Where the gateway listens: from the text of an option to an endpoint.

Most kinds are Twisted's own; here are those that have to be otherwise.
"""

import os
import re
import socket
from pathlib import Path
from typing import Any

from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import IStreamServerEndpoint

from phpgw.process.proxy_protocol import ProxyEndpoint
from phpgw.process.socket_activation import InheritedEndpoint, find_descriptor
from phpgw.process.unix_socket import UnixEndpoint

# The parts of an endpoint string, which backslashes may keep together.
_PART = re.compile(r"(?:\\.|[^\\:])+", re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_ASSIGNMENT = re.compile(r"([A-Za-z]\w*)=(.*)", re.DOTALL)
# Connections that may wait to be accepted. Twisted's own 50 are few for browsers that all come
# back at once; the kernel has a limit of its own, net.core.somaxconn.
_BACKLOG = 4096
_USUAL_MODE = "666"
_ALL_ADDRESSES = r"interface=\:\:"


def make_endpoint(reactor: Any, text: str) -> IStreamServerEndpoint:
    """The endpoint that a text names, as ``twisted.internet.endpoints.serverFromString`` takes it.

    :raises Exception: of many a kind, if it names none.
    """
    kind, *parts = split_parts(text)
    if kind == "haproxy":
        return ProxyEndpoint(make_endpoint(reactor, ":".join(parts)), reactor)
    positional, named = _arguments(parts)
    match kind:
        case "systemd":
            named.pop("domain", None)
            return InheritedEndpoint(reactor, find_descriptor(os.environ, *positional, **named))
        case "unix" if "lockfile" not in named:
            return _unix(reactor, *positional, **named)
        case "tcp" | "tcp6":
            if kind == "tcp" and len(positional) == 1 and "interface" not in named:
                parts += [_ALL_ADDRESSES] if _takes_both_families() else []
            if len(positional) < 3 and "backlog" not in named:
                parts.append(f"backlog={_BACKLOG}")
            return serverFromString(reactor, ":".join([kind, *parts]))
        case _:
            return serverFromString(reactor, text)


def split_parts(text: str) -> list[str]:
    """The parts of an endpoint's text that colons divide, as they are written."""
    return _PART.findall(text)


def unescaped(part: str) -> str:
    """Return a part, or a piece of one, without the backslashes that escape."""
    return _ESCAPED.sub(r"\1", part)


def _arguments(parts: list[str]) -> tuple[list[str], dict[str, str]]:
    positional: list[str] = []
    named: dict[str, str] = {}
    for part in parts:
        assignment = _ASSIGNMENT.fullmatch(part)
        if assignment is not None:
            named[assignment[1]] = unescaped(assignment[2])
        else:
            positional.append(unescaped(part))
    return positional, named


def _unix(
    reactor: Any, address: str, mode: str = _USUAL_MODE, backlog: str = str(_BACKLOG)
) -> UnixEndpoint:
    # twistd may change the working directory.
    return UnixEndpoint(reactor, Path(address).absolute(), int(mode, 8), int(backlog))


def _takes_both_families() -> bool:
    """Tell whether a socket for all of IPv6 takes IPv4 too; not so without IPv6, or on a BSD."""
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe:
            probe.bind(("::", 0))
            return not probe.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)
    except OSError:
        return False
