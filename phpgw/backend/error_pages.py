"""Tells error pages of a web server that does not reach PHP from those of a script.

HTTP does not tell them apart. But PHP sends a charset, and often a header that names PHP. Web
servers send neither, and their error pages are known.
"""

import re
from http import HTTPStatus

from phpgw.backend.reply import Head, Reply

# What a web server says while it reaches no PHP, or has no reply from it: RFC 9110, section 15.6.
OUTAGE_STATUSES = frozenset((502, 503, 504))
# Nginx (and OpenResty, Tengine, ...), Apache, HAProxy, Lighttpd.
_KNOWN_PAGES = re.compile(
    rb"<hr><center>[\w.+-]{1,40}(?:/[\w.+-]{1,40})?</center>|<address>Apache|"
    rb"<title>503 Service Unavailable</title>|<h1>503 Service Unavailable</h1>|"
    rb"<h1>50[24] [\w -]{1,40}</h1>"
)
_NGINX_PAGE = re.compile(
    rb"<center><h1>(?:429|503) [\w -]{1,40}</h1></center>\s*<hr><center>[\w.+-]{1,40}"
)
# How many bytes of a page are searched.
_MAX_SEARCHED = 2000
# PHP sends this with each session; web servers never do.
_EXPIRED = b"Thu, 19 Nov 1981 08:52:00 GMT"


def is_server_error_page(reply: Reply) -> bool:
    """Return whether a response seems to be the error page of a web server, in place of PHP's.

    PHP may have begun with the request.
    """
    head = reply.head
    return head.status in OUTAGE_STATUSES and not _is_from_php(head) and _is_server_page(reply)


def is_not_passed_on(reply: Reply) -> bool:
    """Return whether a web server certainly did not pass the request to PHP, as by a rate limit."""
    if reply.head.status not in (429, 503) or _is_from_php(reply.head):
        return False
    return bool(_NGINX_PAGE.search(reply.body[:_MAX_SEARCHED]))


def _is_from_php(head: Head) -> bool:
    """Return whether a head certainly comes from PHP."""
    if head.set_cookies or head.values(b"expires") == (_EXPIRED,):
        return True
    return any(value.lower().startswith(b"php") for value in head.values(b"x-powered-by"))


def _is_server_page(reply: Reply) -> bool:
    """Return whether a body seems to be a page of a web server."""
    content_types = reply.head.values(b"content-type")
    if not content_types:
        # PHP always sends one.
        return True
    media_type, _, parameters = content_types[0].partition(b";")
    body = reply.body[:_MAX_SEARCHED]
    if media_type.strip().lower() == b"text/plain":
        return body.strip().lower() in _texts(reply.head.status)
    if media_type.strip().lower() != b"text/html":
        return False
    return b"charset" not in parameters.lower() or bool(_KNOWN_PAGES.search(body))


def _texts(status: int) -> tuple[bytes, ...]:
    """Return the texts of proxies without error pages, in lower case."""
    return HTTPStatus(status).phrase.lower().encode(), b"no available server"
