"""Signs in a request that whoever made it did so for somebody else: a proxy, or a browser."""

import re

from twisted.web.server import Request

# RFC 7239, RFC 9110 (7.6), and what proxies and delivery networks send in practice.
_PROXY = re.compile(
    rb"forward|proxy|^via$|-(?:ip|addr)$|^(?:akamai|cdn|cf|fastly|fly|tailscale)-"
    rb"|^x-(?:akamai|amz-cf|arr|azure|client|envoy|host|original|real|remote|rewrite|scheme|varnish"
    rb"|vercel)(?:-|$)",
    re.IGNORECASE,
)
# Fetch standard: browsers send these, and most of them no page's script can forge or remove.
_BROWSER = re.compile(
    rb"^(?:access-control-request-.*|cookie2?|dnt|origin|referer|upgrade-insecure-requests)$|^sec-",
    re.IGNORECASE,
)
# What is shown of a header's name.
_LONGEST = 50


def sign_of_another(request: Request) -> str | None:
    """Return what tells that somebody else is behind a request; ``None`` if nothing does."""
    for name, _ in request.requestHeaders.getAllRawHeaders():
        if _PROXY.search(name):
            return f"The request came through a proxy ({_written(name)})"
        if _BROWSER.search(name):
            return f"The request came from a browser ({_written(name)})"
    connection = b",".join(request.requestHeaders.getRawHeaders(b"Connection", [])).lower()
    if b"upgrade" in connection and b"http2-settings" not in connection:
        # Proxies that are set up for WebSockets say so on whatever they pass on. curl says more
        # when it would rather have HTTP/2.
        return "The request came through a proxy (Connection: upgrade)"
    return None


def _written(name: bytes) -> str:
    return name[:_LONGEST].decode("ascii", "backslashreplace")


def is_old_http(request: Request) -> bool:
    """Tell whether a request is in HTTP/1.0, as Nginx passes requests on by default."""
    return request.clientproto != b"HTTP/1.1"
