"""Ports on which the API is where browsers connect, and on which of them there is a proxy.

A proxy on this machine that passes requests on as they are makes each look like one of this
machine. A browser's handshake gives it away: it comes from here, and was made to a name, or by a
page of a site, that is elsewhere. What has been seen of a port counts until the gateway stops: in
an hour without visitors the proxy is still there.
"""

from collections.abc import Iterator
from ipaddress import ip_address
from typing import Any

from twisted.internet.interfaces import IAddress
from twisted.logger import Logger
from twisted.web.server import Request

from phpgw.log_limit import line_limit
from phpgw.web.addresses import host_and_port
from phpgw.web.forwarded import TrustedProxies
from phpgw.web.host import is_loopback, parse_host, refers_to_this_machine
from phpgw.web.local_peer import is_local, port_or_path
from phpgw.web.origin import parse_origin

# With the address of the proxy's own client at its end.
_CLIENT_HEADERS = (
    *(b"X-Forwarded-For", b"X-Real-IP", b"X-Client-IP"),
    *(b"CF-Connecting-IP", b"True-Client-IP"),
)


class ProxyDetector:
    """Knows which ports have a proxy in front.

    :param proxies: those that the administrator has named.
    """

    log = Logger(observer=line_limit)

    def __init__(self, proxies: TrustedProxies) -> None:
        self._proxies = proxies
        self._proxied: set[int | str] = set()

    def is_proxied(self, port: int | str) -> bool:
        """Tell whether a browser's handshake has come to a port through a proxy.

        :param port: as of :func:`phpgw.web.local_peer.port_or_path`.
        """
        return port in self._proxied

    def is_proxy(self, peer: IAddress) -> bool:
        """Tell whether the administrator has named a peer as a proxy."""
        host, _ = host_and_port(peer)
        return self._proxies.trusts(host)

    def notice(self, request: Request) -> None:
        """Learn from a handshake that is in order.

        One from another machine says nothing: Host and Origin are whatever a stranger likes.
        """
        transport: Any = request.channel.transport
        port = port_or_path(transport.getHost())
        if port in self._proxied or not is_local(transport):
            return
        for name, said in _far_away(request):
            self._proxied.add(port)
            self.log.critical(
                "A handshake from this machine has {name} {said}: there is a proxy in front of "
                "port {port}, and all that it passes on looks like a request of this machine. From "
                "now on the API takes no request on this port. Move it away with --api-listen, "
                "like tcp:8081:interface=127.0.0.1 (PHP then pushes to "
                "http://127.0.0.1:8081/send), or set --api-token-file; or, if the proxy passes on "
                "nothing but WebSockets, --api-trust-local on",
                name=name,
                said=said,
                port=port,
            )
            return


def _far_away(request: Request) -> Iterator[tuple[str, str]]:
    """Find the headers that name another machine or its site."""
    headers = request.requestHeaders
    for value in headers.getRawHeaders(b"Host", ()):
        host = parse_host(value)
        if host and not refers_to_this_machine(host):
            yield "Host", host
    for value in headers.getRawHeaders(b"Origin", ()):
        origin = parse_origin(value)
        if origin is not None and origin.is_web and not refers_to_this_machine(origin.host):
            yield "Origin", str(origin)
    for name in _CLIENT_HEADERS:
        for value in headers.getRawHeaders(name, ()):
            address = value.rpartition(b",")[2].strip().decode("latin-1")
            try:
                ip_address(address)
            except ValueError:
                continue
            if not is_loopback(address):
                yield name.decode(), address
