"""Who may push.

Without a token, requests from this machine alone: a loopback peer or a UNIX socket, and only
where nothing tells of a proxy or of a browser, since either acts for somebody else. With a
configured token, whoever sends it.
"""

from hmac import compare_digest
from ipaddress import ip_address

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.web.server import Request

from phpgw.peer import host_and_port

# RFC 7239, RFC 9110 (7.6.3), and what proxies send in practice.
_PROXY_HEADERS = (b"forwarded", b"via", b"x-real-ip")
_PROXY_PREFIX = b"x-forwarded-"
# Fetch standard: browsers send these, and no page's script can forge or remove them.
_BROWSER_HEADERS = (b"origin", b"sec-fetch-site")


class Denied(Exception):
    """A request that may not use the API; the text says why and what would help.

    :ivar status: 401 or 403.
    """

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status

    def answer(self, request: Request) -> bytes:
        """Set up the refusal's status and headers; return its body."""
        request.setResponseCode(self.status)
        request.setHeader("Content-Type", "text/plain; charset=utf-8")
        if self.status == 401:
            request.setHeader("WWW-Authenticate", 'Bearer realm="phpgw"')
        return f"{self}\n".encode()


class Access:
    """Tells who may use the API.

    :param token: the secret that opens it to anyone who sends it; ``None`` if there is none.
    """

    def __init__(self, token: bytes | None = None) -> None:
        self._token = token

    def check(self, request: Request) -> None:
        """Let the request pass.

        :raises Denied: if it may not.
        """
        authorization = request.getHeader(b"Authorization")
        scheme, _, credentials = (authorization or b"").partition(b" ")
        if scheme.lower() == b"bearer" and self._token is not None:
            if compare_digest(credentials.strip(), self._token):
                return
            raise Denied(401, "The token is not the one in --api-token-file.")
        obstacle = _obstacle(request)
        if obstacle is None:
            return
        if self._token is not None:
            raise Denied(401, f"{obstacle}: it needs Authorization: Bearer TOKEN.")
        raise Denied(
            403, f"{obstacle}. Push from the gateway's own machine, or set --api-token-file."
        )


def _obstacle(request: Request) -> str | None:
    """Why the request does not count as coming from this machine; ``None`` if it does."""
    for name, _ in request.requestHeaders.getAllRawHeaders():
        lower = name.lower()
        if lower in _PROXY_HEADERS or lower.startswith(_PROXY_PREFIX):
            return f"The request came through a proxy ({name.decode('ascii')})"
        if lower in _BROWSER_HEADERS:
            return f"The request came from a browser ({name.decode('ascii')})"
    if not is_local(request.getClientAddress()):
        return "The request came from another machine"
    return None


def is_local(peer: object) -> bool:
    """Whether a peer is on this machine."""
    if isinstance(peer, (IPv4Address, IPv6Address)):
        host, _ = host_and_port(peer)
        return ip_address(host.partition("%")[0]).is_loopback
    return isinstance(peer, UNIXAddress)
