"""Whose error page it is: a web server's that reaches no PHP, or a script's own.

Nothing in HTTP tells. But PHP says of its pages which charset they have, and often that they are
PHP's, while web servers do not, and have pages that are known.
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
# The beginning of an error page has all of this.
_LONGEST = 2000
# What PHP sends with each session, and web servers never do.
_EXPIRED = b"Thu, 19 Nov 1981 08:52:00 GMT"


def is_without_php(reply: Reply) -> bool:
    """Tell whether a reply is a web server's that has no answer from PHP, as far as can be seen.

    PHP may have begun with the request, and have broken off.
    """
    head = reply.head
    return head.status in OUTAGE_STATUSES and not _is_phps(head) and _is_web_servers(reply)


def is_before_php(reply: Reply) -> bool:
    """Tell whether a web server certainly did not try PHP: it limits requests, or is told to."""
    if reply.head.status not in (429, 503) or _is_phps(reply.head):
        return False
    return bool(_NGINX_PAGE.search(reply.body[:_LONGEST]))


def _is_phps(head: Head) -> bool:
    if head.set_cookies or head.values(b"expires") == (_EXPIRED,):
        return True
    return any(value.lower().startswith(b"php") for value in head.values(b"x-powered-by"))


def _is_web_servers(reply: Reply) -> bool:
    content_types = reply.head.values(b"content-type")
    if not content_types:
        # PHP always has one.
        return True
    media_type, _, parameters = content_types[0].partition(b";")
    body = reply.body[:_LONGEST]
    if media_type.strip().lower() == b"text/plain":
        return body.strip().lower() in _texts(reply.head.status)
    if media_type.strip().lower() != b"text/html":
        return False
    return b"charset" not in parameters.lower() or bool(_KNOWN_PAGES.search(body))


def _texts(status: int) -> tuple[bytes, ...]:
    """Return what proxies say that have no page."""
    return HTTPStatus(status).phrase.lower().encode(), b"no available server"
