"""The endpoint of a pool's server: a UNIX socket, or a host and a port, with TLS or without."""

from typing import Any

from twisted.internet.endpoints import UNIXClientEndpoint
from twisted.internet.interfaces import IStreamClientEndpoint

from phpgw.settings.pool_config import PoolConfig
from phpgw.transport.host_endpoint import HostEndpoint
from phpgw.transport.tls_endpoint import TlsEndpoint, TlsFiles


def make_endpoint(reactor: Any, config: PoolConfig) -> IStreamClientEndpoint:
    """Return the endpoint of the pool's server. TLS is there if the URL's scheme says so."""
    place = config.server.place
    if place is None:
        return UNIXClientEndpoint(reactor, config.server.socket)
    endpoint = HostEndpoint(reactor, place.host, place.port)
    if not config.server.uses_tls:
        return endpoint
    return TlsEndpoint(endpoint, place.host, TlsFiles(config.ca_file))
