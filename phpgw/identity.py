"""What PHP gets to see of the request with which a browser connected.

Headers by an allow-list; those that say who somebody is (RFC 6454, section 3: a page of another
site must not act in the name of its visitor) only for connections from the same site.
"""

from urllib.parse import urlsplit

from twisted.web.server import Request

from phpgw.backend import Handshake
from phpgw.peer import host_and_port

_PASSED_ON = (b"Origin", b"User-Agent", b"Accept-Language")
_CREDENTIALS = (b"Cookie", b"Authorization")


def visible_handshake(request: Request) -> Handshake:
    """The handshake as PHP may see it."""
    path, _, query = request.uri.partition(b"?")
    peer_host, peer_port = host_and_port(request.getClientAddress())
    server_host, server_port = host_and_port(request.getHost())
    return Handshake(
        peer_host=peer_host,
        peer_port=peer_port,
        server_host=server_host,
        server_port=server_port,
        is_secure=request.isSecure(),
        host=request.getHeader(b"Host") or b"",
        path=path,
        query=query,
        headers=_visible_headers(request),
    )


def _visible_headers(request: Request) -> tuple[tuple[bytes, bytes], ...]:
    names = _PASSED_ON if _is_cross_origin(request) else (*_PASSED_ON, *_CREDENTIALS)
    headers = []
    for name in names:
        values = request.requestHeaders.getRawHeaders(name, ())
        if values:
            # Cookies are parted by semicolons (RFC 6265, section 4.2.1), lists by commas.
            separator = b"; " if name == b"Cookie" else b", "
            headers.append((name, separator.join(values)))
    return tuple(headers)


def _is_cross_origin(request: Request) -> bool:
    """Whether a page of another host opened the connection.

    Cookies know no ports, so a page on the same host's port 80 is no stranger. Where there is no
    Origin, no page is behind it.
    """
    origin = request.getHeader(b"Origin")
    if origin is None:
        return False
    page_host = _host_of(origin)
    return page_host is None or page_host != _host_of(b"//" + (request.getHeader(b"Host") or b""))


def _host_of(url: bytes) -> str | None:
    try:
        return urlsplit(url.decode("latin-1")).hostname or None
    except ValueError:
        return None
