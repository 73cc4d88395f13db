"""Detection of proxies in front of ports that serve both browsers and the API.

With a proxy on this machine, each request that it forwards comes from this machine, and would have
access to the API. A browser's handshake reveals such a proxy: it comes from this machine, but its
Host or Origin header names another one. A port stays marked until the gateway stops, since the
proxy is still there when no browser connects.
"""

from collections.abc import Callable, Iterator
from ipaddress import ip_address
from typing import Any

from twisted.internet.interfaces import IAddress
from twisted.logger import Logger

from phpgw.log_limit import line_limit
from phpgw.web.addresses import host_and_port
from phpgw.web.forwarded import TrustedProxies
from phpgw.web.handshake_request import HandshakeRequest
from phpgw.web.host import is_loopback, parse_host, refers_to_this_machine
from phpgw.web.local_peer import is_local, port_or_path
from phpgw.web.origin import parse_origin

# Headers that end with the address of the proxy's client.
_CLIENT_HEADERS = (
    *(b"X-Forwarded-For", b"X-Real-IP", b"X-Client-IP"),
    *(b"CF-Connecting-IP", b"True-Client-IP"),
)


class ProxyDetector:
    """Finds the ports that have a proxy in front.

    :param proxies: the proxies that the administrator has configured.
    :ivar observers: each is called with a port when a proxy was found in front of it.
    """

    log = Logger(observer=line_limit)

    def __init__(self, proxies: TrustedProxies) -> None:
        self._proxies = proxies
        self._proxied: set[int | str] = set()
        self.observers: list[Callable[[int | str], object]] = []

    def is_proxied(self, port: int | str) -> bool:
        """Return whether a handshake has come to a port through a proxy.

        :param port: as returned by :func:`phpgw.web.local_peer.port_or_path`.
        """
        return port in self._proxied

    def mark(self, port: int | str) -> None:
        """Note that there is a proxy in front of a port, as another process has found."""
        self._proxied.add(port)

    def is_proxy(self, peer: IAddress) -> bool:
        """Return whether a peer is a configured proxy (``--trusted-proxy``)."""
        host, _ = host_and_port(peer)
        return self._proxies.trusts(host)

    def inspect_handshake(self, request: HandshakeRequest) -> None:
        """Look for a proxy in the headers of a valid handshake.

        One from another machine proves nothing, since any program can choose its Host and Origin.
        """
        transport: Any = request.channel.transport
        port = port_or_path(request.getHost())
        if port in self._proxied or not is_local(transport):
            return
        for name, said in _remote_names(request):
            self.mark(port)
            for observer in self.observers:
                observer(port)
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


def _remote_names(request: HandshakeRequest) -> Iterator[tuple[str, str]]:
    """Yield the headers, with their values, that name another machine or its site."""
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
