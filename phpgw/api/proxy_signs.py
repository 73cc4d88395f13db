"""Signs in a request that it comes from a proxy or a browser, which act for others."""

import re

from twisted.web.server import Request

# RFC 7239, RFC 9110 (section 7.6), and headers that proxies and CDNs send in practice.
_PROXY = re.compile(
    rb"forward|proxy|^via$|-(?:ip|addr)$|^(?:akamai|cdn|cf|fastly|fly|tailscale)-"
    rb"|^x-(?:akamai|amz-cf|arr|azure|client|envoy|host|original|real|remote|rewrite|scheme|varnish"
    rb"|vercel)(?:-|$)",
    re.IGNORECASE,
)
# Fetch standard: browsers send these, and scripts can neither change nor remove most of them.
_BROWSER = re.compile(
    rb"^(?:access-control-request-.*|cookie2?|dnt|origin|referer|upgrade-insecure-requests)$|^sec-",
    re.IGNORECASE,
)
# How many bytes of a header's name are shown.
_MAX_SHOWN = 50


def find_sign(request: Request) -> str | None:
    """Return the first sign of a proxy or a browser; ``None`` if there is none."""
    for name, _ in request.requestHeaders.getAllRawHeaders():
        if _PROXY.search(name):
            return f"The request came through a proxy ({_shown(name)})"
        if _BROWSER.search(name):
            return f"The request came from a browser ({_shown(name)})"
    connection = b",".join(request.requestHeaders.getRawHeaders(b"Connection", [])).lower()
    if b"upgrade" in connection and b"http2-settings" not in connection:
        # Proxies that are configured for WebSockets add it to all requests. curl also adds it when
        # it prefers HTTP/2, with another option.
        return "The request came through a proxy (Connection: upgrade)"
    return None


def _shown(name: bytes) -> str:
    return name[:_MAX_SHOWN].decode("ascii", "backslashreplace")


def is_old_http(request: Request) -> bool:
    """Return whether a request is in HTTP/1.0, as Nginx forwards requests by default."""
    return request.clientproto != b"HTTP/1.1"
