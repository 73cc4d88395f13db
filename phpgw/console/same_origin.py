"""The origin of the page that has made a request, as the browser tells it.

A page can neither set nor remove the headers that are read here (Fetch standard, section 2.2.2).
"""

import re

from twisted.web.server import Request

from phpgw.web.origin import Origin, parse_origin
from phpgw.web.response import HttpError

# The origin in a URL.
_ORIGIN = re.compile(rb"[a-z]+://[^/?#]*", re.IGNORECASE)


class CrossOrigin(HttpError):
    """The request is of a page that is not the console's."""

    def __init__(self, reason: str) -> None:
        super().__init__(403, reason)


def page_origin(request: Request) -> Origin | None:
    """Return the origin of the page; ``None`` if the browser does not tell it.

    :raises CrossOrigin: if the page is not of the origin that it calls.
    """
    site = request.requestHeaders.getRawHeaders(b"Sec-Fetch-Site", [b"same-origin"])
    if site != [b"same-origin"]:
        raise CrossOrigin("the request is of a page of another origin")
    origins = request.requestHeaders.getRawHeaders(b"Origin", [])
    if not origins:
        # Browsers send no Origin with a GET to the page's own.
        referrer = _ORIGIN.match(request.getHeader(b"Referer") or b"")
        origins = [] if referrer is None else [referrer[0]]
    if not origins:
        return None
    origin = parse_origin(origins[0])
    if origin is None or not origin.is_web or len(origins) > 1:
        raise CrossOrigin("the Origin header is not one of a page")
    return origin


def calling_origin(request: Request) -> Origin:
    """Return the origin of the page, which is the one that it calls.

    :raises CrossOrigin: if it is another one, or if the browser does not tell it.
    """
    origin = page_origin(request)
    if origin is None:
        raise CrossOrigin("the request has no Origin header, so it is not of the console's page")
    # Without Sec-Fetch-Site (on http://, but for this machine), the hosts have to be compared.
    if not request.requestHeaders.hasHeader(b"Sec-Fetch-Site"):
        host = request.getHeader(b"Host") or b""
        called = parse_origin(f"{origin.scheme}://".encode() + host)
        if called != origin:
            raise CrossOrigin(
                f"the page is of {origin}, but the request is for the host "
                f"{host.decode('latin-1')!a}; a proxy has to pass the Host on "
                "(in Nginx: proxy_set_header Host $http_host)"
            )
    return origin
