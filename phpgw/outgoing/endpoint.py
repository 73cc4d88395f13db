"""Connections to WebSocket servers, with TLS for ``wss://``."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet.interfaces import IStreamClientEndpoint

from phpgw.settings.outgoing_url import ServerUrl
from phpgw.transport.host_endpoint import HostEndpoint
from phpgw.transport.tls_endpoint import TlsEndpoint, TlsFiles


def server_endpoint(
    reactor: Any,
    url: ServerUrl,
    ca_file: Path | None = None,
    permits: Callable[[str], bool] | None = None,
) -> IStreamClientEndpoint:
    """Return what connects to a server; with TLS, its certificate must be valid for its name.

    :param ca_file: the certificates that sign the server's, read anew each time; ``None`` for those
        of the system.
    :param permits: returns whether an address may be connected to; ``None`` for all.
    """
    below = HostEndpoint(reactor, url.host, url.port, permits)
    return TlsEndpoint(below, url.host, TlsFiles(ca_file)) if url.is_secure else below
