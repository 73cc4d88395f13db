"""What PHP gets to see of the request with which a browser connected.

Where it comes from: a proxy may have a word in that (:mod:`phpgw.web.forwarded`). Headers by an
allow-list; those that may say who somebody is (RFC 6454, section 3: a page of another site must not
act in the name of its visitor) only for connections from the same site, or from one that the
administrator trusts.
"""

import re
from collections.abc import Iterable

from twisted.web.server import Request

from phpgw.backend.event import Handshake
from phpgw.web.addresses import host_and_port
from phpgw.web.forwarded import RequestSource, TrustedProxies
from phpgw.web.host import parse_host
from phpgw.web.origin import parse_origin, parse_origin_pattern
from phpgw.websocket.cross_origin import CrossOriginLog

_PASSED_ON = (b"Origin", b"User-Agent", b"Accept-Language", b"Sec-WebSocket-Protocol")
_TRUSTED = (b"Cookie", b"Authorization")
# Where proxies say whether a browser has come by TLS.
_PROTO_HEADERS = (b"X-Forwarded-Proto", b"X-Forwarded-Scheme", b"Forwarded")
_TLS = re.compile(rb"\b(?:https|wss)\b", re.IGNORECASE)


class OriginNotAllowed(Exception):
    """A page of a site that may not connect."""


class RequestInfo:
    """Decides what PHP sees of a handshake.

    :param allowed_origins: sites whose pages are trusted like our own, as
        :func:`phpgw.web.origin.parse_origin_pattern` reads them;
        if there are any, those of no other site may connect.
    :param forwarded: names of further headers that PHP sees of connections that are trusted: a
        proxy may have named the visitor in one of them.
    :param proxies: who is believed about where a browser is.
    :param log: what is told of pages that are not trusted.
    """

    def __init__(
        self,
        allowed_origins: Iterable[str] = (),
        forwarded: Iterable[str] = (),
        proxies: TrustedProxies | None = None,
        log: CrossOriginLog | None = None,
    ) -> None:
        self._log = log or CrossOriginLog()
        self._proxies = proxies or TrustedProxies()
        self._allowed_origins = tuple(map(parse_origin_pattern, allowed_origins))
        names = (name.encode() for name in forwarded)
        self._trusted = tuple(dict.fromkeys((*_PASSED_ON, *_TRUSTED, *names)))

    def read(self, request: Request) -> Handshake:
        """The handshake as PHP may see it.

        :raises OriginNotAllowed: if there should be none.
        :raises phpgw.web.forwarded.InvalidForwardedHeaders: if a trusted proxy has passed one on.
        """
        source = self._source(request)
        is_trusted = self._is_trusted(request, source)
        if not is_trusted:
            is_refused = bool(self._allowed_origins)
            origin = b", ".join(request.requestHeaders.getRawHeaders(b"Origin", ()))
            self._log.record(origin, source.requested_host, is_refused=is_refused)
            if is_refused:
                raise OriginNotAllowed
        path, _, query = request.uri.partition(b"?")
        server_host, server_port = host_and_port(request.getHost())
        return Handshake(
            peer_host=source.host,
            peer_port=source.port,
            server_host=server_host,
            server_port=server_port,
            is_secure=source.is_secure,
            host=source.requested_host,
            path=path,
            query=query,
            headers=self._headers(request, is_trusted),
            is_cross_origin=not is_trusted,
        )

    def _source(self, request: Request) -> RequestSource:
        host, port = host_and_port(request.getClientAddress())
        seen = RequestSource(
            host=host,
            port=port,
            is_secure=request.isSecure(),
            requested_host=request.getHeader(b"Host") or b"",
        )
        headers = request.requestHeaders
        return self._proxies.source(seen, lambda name: headers.getRawHeaders(name.encode(), ()))

    def _headers(self, request: Request, is_trusted: bool) -> tuple[tuple[bytes, bytes], ...]:
        headers = []
        for name in self._trusted if is_trusted else _PASSED_ON:
            values = request.requestHeaders.getRawHeaders(name, ())
            if values:
                # Cookies are parted by semicolons (RFC 6265, section 4.2.1), lists by commas.
                separator = b"; " if name == b"Cookie" else b", "
                headers.append((name, separator.join(values)))
        return tuple(headers)

    def _is_trusted(self, request: Request, source: RequestSource) -> bool:
        """Tell whether nobody else's page opened the connection.

        Where there is no Origin, no page is behind it.
        """
        origins = request.requestHeaders.getRawHeaders(b"Origin", ())
        host = parse_host(source.requested_host)
        is_secure = source.is_secure or _claims_tls(request)
        return all(
            _is_own(origin, host, is_secure)
            or any(allowed.matches(origin) for allowed in self._allowed_origins)
            for origin in origins
        )


def _is_own(header: bytes, host: str | None, is_secure: bool) -> bool:
    """Tell whether a page is one of the site that it connects to.

    Cookies know no ports, so a page on the same host's port 80 is no stranger. But whoever is in
    between can write the pages of http://, and these must not act on a site that is https:// only.
    The other way round nothing is amiss: TLS ends at a proxy that does not say so.
    """
    origin = parse_origin(header)
    if origin is None or not origin.is_web or not host or origin.host != host:
        return False
    return origin.scheme == "https" or not is_secure


def _claims_tls(request: Request) -> bool:
    """Tell whether anybody says that the browser has come by TLS.

    It need be no trusted proxy: who forges this is trusted less, and no page can forge it.
    """
    headers = request.requestHeaders
    return any(
        _TLS.search(value) for name in _PROTO_HEADERS for value in headers.getRawHeaders(name, ())
    )
