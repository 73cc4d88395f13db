"""Who may use the API.

Without a token, requests from this machine alone: a loopback peer or a UNIX socket, and only
where nothing tells of a proxy or of a browser, since either acts for somebody else. With a
configured token, whoever sends it.

A browser tells of itself but in one case: a page whose name leads to this machine since a moment
ago (DNS rebinding) takes us for its own server. Its name is in the Host header.
"""

from functools import lru_cache
from hmac import compare_digest
from ipaddress import ip_address
from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.interfaces import ITransport
from twisted.logger import Logger
from twisted.protocols.policies import ProtocolWrapper
from twisted.protocols.tls import TLSMemoryBIOProtocol
from twisted.web.server import Request

from phpgw.api.response import Refused
from phpgw.hosts import host_name, is_nobodys
from phpgw.peer import host_and_port, peer_name

# RFC 7239, RFC 9110 (7.6.3), and what proxies send in practice.
_PROXY_HEADERS = (b"forwarded", b"via", b"x-real-ip")
_PROXY_PREFIX = b"x-forwarded-"
# Fetch standard: browsers send these, and no page's script can forge or remove them.
_BROWSER_HEADERS = (b"origin", b"sec-fetch-site")
_HINT = "Call from the gateway's own machine, as localhost or 127.0.0.1"
_CHALLENGE = {"WWW-Authenticate": 'Bearer realm="phpgw"'}


class Denied(Refused):
    """A request that may not use the API."""


class Access:
    """Tells who may use the API.

    :param token: the secret that opens it to anyone who sends it; ``None`` if there is none.
    """

    log = Logger()

    def __init__(self, token: bytes | None = None) -> None:
        self._token = token

    def check(self, request: Request) -> None:
        """Let the request pass.

        :raises Denied: if it may not.
        """
        try:
            self._check(request)
        except Denied as denied:
            # The resource's name, which is no secret: what follows may be.
            self.log.warn(
                "Denied {peer} a request for /{place}: {reason}",
                peer=peer_name(request.getClientAddress()),
                place=(request.prepath or [b""])[0].decode("ascii", "replace"),
                reason=str(denied),
            )
            raise

    def _check(self, request: Request) -> None:
        authorization = request.getHeader(b"Authorization")
        scheme, _, credentials = (authorization or b"").partition(b" ")
        if scheme.lower() == b"bearer" and self._token is not None:
            if compare_digest(credentials.strip(), self._token):
                return
            raise Denied(401, "The token is not the one in --api-token-file.", _CHALLENGE)
        obstacle = _obstacle(request)
        if obstacle is None:
            return
        if self._token is not None:
            raise Denied(401, f"{obstacle}: it needs Authorization: Bearer TOKEN.", _CHALLENGE)
        raise Denied(403, f"{obstacle}. {_HINT}, or set --api-token-file.")


def _obstacle(request: Request) -> str | None:
    """Why the request does not count as coming from this machine; ``None`` if it does."""
    for name, _ in request.requestHeaders.getAllRawHeaders():
        lower = name.lower()
        if lower in _PROXY_HEADERS or lower.startswith(_PROXY_PREFIX):
            return f"The request came through a proxy ({name.decode('ascii')})"
        if lower in _BROWSER_HEADERS:
            return f"The request came from a browser ({name.decode('ascii')})"
    transport: Any = request.channel.transport
    if is_relayed(transport):
        return "The request came through a proxy (PROXY protocol)"
    if not is_local(transport):
        return "The request came from another machine"
    if not is_for_us(request.getHeader(b"Host") or b""):
        return "The request is for a host of another name"
    return None


def is_relayed(transport: ITransport) -> bool:
    """Whether it is only said where the peer of a connection is, and by whoever connected."""
    below: Any = transport
    while isinstance(below, TLSMemoryBIOProtocol):
        below = below.transport
    return isinstance(below, ProtocolWrapper)


def is_local(transport: ITransport) -> bool:
    """Whether the peer of a connection is on this machine, beyond doubt."""
    if is_relayed(transport):
        return False
    peer = transport.getPeer()
    if isinstance(peer, (IPv4Address, IPv6Address)):
        host, _ = host_and_port(peer)
        return _is_loopback(host)
    return isinstance(peer, UNIXAddress)


@lru_cache(maxsize=256)
def _is_loopback(host: str) -> bool:
    return ip_address(host.partition("%")[0]).is_loopback


def is_for_us(host: bytes) -> bool:
    """Whether a request with this Host header was made to us in the first place."""
    name = host_name(host)
    return name is not None and is_nobodys(name)
