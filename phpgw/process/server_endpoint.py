"""Server endpoints from their text form (``--listen``).

Most kinds are Twisted's own. ``unix:``, ``systemd:`` and ``haproxy:`` are replaced by our own, and
``tcp:`` gets other defaults.
"""

import os
import socket
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import IStreamServerEndpoint

from phpgw.process.proxy_protocol import ProxyEndpoint
from phpgw.process.socket_activation import InheritedEndpoint, find_descriptor
from phpgw.process.unix_socket import UnixEndpoint
from phpgw.settings.endpoint_text import parse_arguments, split_parts

# Connections that may wait to be accepted. Twisted's default of 50 is too small when all browsers
# reconnect at once. The kernel has its own limit, net.core.somaxconn.
BACKLOG = 4096
DEFAULT_MODE = "666"
_ALL_ADDRESSES = r"interface=\:\:"


def make_endpoint(
    reactor: Any, text: str, opened: Mapping[str, int] = MappingProxyType({})
) -> IStreamServerEndpoint:
    """Return the endpoint for a text, as ``twisted.internet.endpoints.serverFromString`` does.

    :param opened: the descriptors of listening sockets that another process has opened for this
        one, by the texts of their endpoints.
    :raises Exception: of various classes, if the text is invalid.
    """
    kind, *parts = split_parts(text)
    if kind == "haproxy":
        return ProxyEndpoint(make_endpoint(reactor, ":".join(parts), opened), reactor)
    if text in opened:
        return InheritedEndpoint(reactor, opened[text])
    positional, named = parse_arguments(parts)
    match kind:
        case "systemd":
            named.pop("domain", None)
            return InheritedEndpoint(reactor, find_descriptor(os.environ, *positional, **named))
        case "unix" if "lockfile" not in named:
            return _make_unix_endpoint(reactor, *positional, **named)
        case "tcp" | "tcp6":
            if kind == "tcp" and len(positional) == 1 and "interface" not in named:
                parts += [_ALL_ADDRESSES] if takes_both_families() else []
            if len(positional) < 3 and "backlog" not in named:
                parts.append(f"backlog={BACKLOG}")
            return serverFromString(reactor, ":".join([kind, *parts]))
        case _:
            return serverFromString(reactor, text)


def _make_unix_endpoint(
    reactor: Any, address: str, mode: str = DEFAULT_MODE, backlog: str = str(BACKLOG)
) -> UnixEndpoint:
    # twistd may change the working directory.
    return UnixEndpoint(reactor, Path(address).absolute(), int(mode, 8), int(backlog))


def takes_both_families() -> bool:
    """Return whether a socket on ``::`` accepts IPv4 too. It does not without IPv6, or on a BSD."""
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe:
            probe.bind(("::", 0))
            return not probe.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)
    except OSError:
        return False
