"""The part of a handshake's request that PHP gets.

The address can come from a trusted proxy (:mod:`phpgw.web.forwarded`). Headers are passed on by an
allow-list. Headers with credentials are passed on only if the page is of the same site, or of a
site that the administrator trusts: a page of another site must not act in the name of its visitor
(RFC 6454, section 3).
"""

import re
from collections.abc import Iterable

from phpgw.backend.event import Handshake
from phpgw.web.addresses import host_and_port
from phpgw.web.forwarded import RequestSource, TrustedProxies
from phpgw.web.handshake_request import HandshakeRequest
from phpgw.web.host import parse_host
from phpgw.web.origin import parse_origin, parse_origin_pattern
from phpgw.websocket.cross_origin import CrossOriginLog

_SAFE_HEADERS = (
    *(b"Origin", b"User-Agent", b"Accept-Language", b"Sec-WebSocket-Protocol"),
    # W3C Trace Context: a proxy or a client that is no browser sends them.
    *(b"Traceparent", b"Tracestate"),
)
_CREDENTIAL_HEADERS = (b"Cookie", b"Authorization")
# Headers in which proxies say that a browser uses TLS.
_PROTO_HEADERS = (b"X-Forwarded-Proto", b"X-Forwarded-Scheme", b"Forwarded")
_TLS = re.compile(rb"\b(?:https|wss)\b", re.IGNORECASE)


class OriginNotAllowed(Exception):
    """The Origin header names a site that may not connect."""


class RequestInfo:
    """Reads from a request what PHP is told of a handshake.

    :param allowed_origins: origins that are trusted like the same site, in the form of
        :func:`phpgw.web.origin.parse_origin_pattern`. If there are any, no other site may connect.
    :param forwarded: names of further headers that PHP gets of trusted connections, such as one in
        which a proxy names the visitor.
    :param proxies: the proxies whose forwarded headers count.
    :param log: records handshakes of pages that are not trusted.
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
        self._all_headers = tuple(dict.fromkeys((*_SAFE_HEADERS, *_CREDENTIAL_HEADERS, *names)))

    def read(self, request: HandshakeRequest) -> Handshake:
        """Return the handshake as PHP gets it.

        :raises OriginNotAllowed: if pages of this origin may not connect.
        :raises phpgw.web.forwarded.InvalidForwardedHeaders: if the headers of a trusted proxy are
            malformed or ambiguous.
        """
        source = self._source(request)
        is_trusted = self._is_trusted(request, source)
        if not is_trusted:
            is_refused = bool(self._allowed_origins)
            origin = b", ".join(request.requestHeaders.getRawHeaders(b"Origin", ()))
            self._log.record(origin, source.requested_host, is_refused=is_refused)
            if is_refused:
                raise OriginNotAllowed
        return self._handshake(request, source, is_trusted)

    def read_trusted(self, request: HandshakeRequest) -> Handshake | None:
        """Return the handshake as PHP gets it; ``None`` if it is of a page of another site.

        :raises phpgw.web.forwarded.InvalidForwardedHeaders: as for :meth:`read`.
        """
        source = self._source(request)
        if not self._is_trusted(request, source):
            return None
        return self._handshake(request, source, is_trusted=True)

    def _handshake(
        self, request: HandshakeRequest, source: RequestSource, is_trusted: bool
    ) -> Handshake:
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

    def _source(self, request: HandshakeRequest) -> RequestSource:
        host, port = host_and_port(request.getClientAddress())
        seen = RequestSource(
            host=host,
            port=port,
            is_secure=request.isSecure(),
            requested_host=request.getHeader(b"Host") or b"",
        )
        headers = request.requestHeaders
        return self._proxies.source(seen, lambda name: headers.getRawHeaders(name.encode(), ()))

    def _headers(
        self, request: HandshakeRequest, is_trusted: bool
    ) -> tuple[tuple[bytes, bytes], ...]:
        headers = []
        for name in self._all_headers if is_trusted else _SAFE_HEADERS:
            values = request.requestHeaders.getRawHeaders(name, ())
            if values:
                # Cookies are separated by semicolons (RFC 6265, section 4.2.1), lists by commas.
                separator = b"; " if name == b"Cookie" else b", "
                headers.append((name, separator.join(values)))
        return tuple(headers)

    def _is_trusted(self, request: HandshakeRequest, source: RequestSource) -> bool:
        """Return whether the connection is from the same site or an allowed origin.

        Without an Origin header, the client is not a page in a browser, and is trusted.
        """
        origins = request.requestHeaders.getRawHeaders(b"Origin", ())
        if not origins:
            return True
        host = parse_host(source.requested_host)
        is_secure = source.is_secure or _claims_tls(request)
        return all(
            _is_same_site(origin, host, is_secure)
            or any(allowed.matches(origin) for allowed in self._allowed_origins)
            for origin in origins
        )


def _is_same_site(header: bytes, host: str | None, is_secure: bool) -> bool:
    """Return whether a page is of the same site that it connects to.

    The port does not matter, as with cookies. A page of http:// is not of the same site as https://:
    an attacker on the network can change it. A page of https:// is of the same site as http://,
    since TLS may end at a proxy that does not say so.
    """
    origin = parse_origin(header)
    if origin is None or not origin.is_web or not host or origin.host != host:
        return False
    return origin.scheme == "https" or not is_secure


def _claims_tls(request: HandshakeRequest) -> bool:
    """Return whether a header says that the browser uses TLS.

    It counts from any peer, not only from trusted proxies: pages cannot set these headers, and a
    client that forges one is trusted less, not more.
    """
    headers = request.requestHeaders
    return any(
        _TLS.search(value) for name in _PROTO_HEADERS for value in headers.getRawHeaders(name, ())
    )
