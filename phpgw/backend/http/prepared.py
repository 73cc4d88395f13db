"""A URL, headers, a body and a cookie jar for requests to one URL.

:mod:`phpgw.backend.http.client` sends them as they are. treq itself, which makes the probes, would
encode the host of the URL, copy the headers and add some, and keep cookies.
"""

from collections.abc import Iterable
from string import punctuation
from typing import Any, cast
from urllib.parse import quote

import attrs
from hyperlink import EncodedURL
from treq.cookies import IndexableCookieJar
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IConsumer
from twisted.web.http_headers import Headers
from twisted.web.iweb import IBodyProducer
from zope.interface import implementer

from phpgw.backend.http.fixed_query import FixedQuery

_AS_IT_IS = punctuation.replace("#", "")


class CompleteUrl(EncodedURL):
    """A URL in ASCII that treq uses as it is.

    treq would encode its host as an internationalized name, which fails for addresses like
    ``[::1]`` and names like ``my_php``.
    """

    def to_uri(self) -> "CompleteUrl":
        """Return this URL."""
        return self

    def with_query(self, query: bytes) -> "CompleteUrl":
        """Return this URL with its query extended, see :class:`FixedQuery`.

        :param query: as received; spaces, ``#`` and unprintable bytes get percent-encoded
            (RFC 3986, section 3.4).
        """
        start, _, own = self.to_text().partition("?")
        extended = FixedQuery(own.encode()).extended(quote(query, safe=_AS_IT_IS).encode())
        return complete_url(f"{start}?{extended.decode()}")


def complete_url(text: str) -> CompleteUrl:
    """Parse a URL."""
    return cast(CompleteUrl, CompleteUrl.from_text(text))


class PreparedHeaders(Headers):
    """Headers that are encoded already, and to which treq adds nothing.

    So they need no copies. They also do not ask for compressed replies, which cost both sides more
    than they save on one machine.

    :ivar lines: the header lines.
    """

    def __init__(self, lines: bytes) -> None:
        self.lines = lines

    def copy(self) -> "PreparedHeaders":
        """Return these headers."""
        return self

    def hasHeader(self, name: object) -> bool:
        """Return false: treq has no use for what they contain."""
        return False

    def addRawHeader(self, name: object, value: object) -> None:
        """Add nothing."""

    def extended(self, more: bytes) -> "PreparedHeaders":
        """Return these headers and more.

        :param more: the lines of headers that are not among these.
        """
        return PreparedHeaders(self.lines + more)


def header_lines(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Encode headers as lines: RFC 9112, section 5."""
    return b"".join([b"%b: %b\r\n" % header for header in headers])


@implementer(IBodyProducer)
@attrs.define(eq=False)
class RequestBody:
    """A request body that is sent together with the head.

    :ivar is_sent: whether it was written to a connection.
    """

    data: bytes
    is_sent: bool = False

    @property
    def length(self) -> int:
        """Return the size in bytes."""
        return len(self.data)

    def startProducing(self, consumer: IConsumer) -> Deferred[None]:
        """Write the whole body."""
        self.is_sent = True
        consumer.write(self.data)
        return succeed(None)

    def pauseProducing(self) -> None:
        """Do nothing: all is written."""

    def resumeProducing(self) -> None:
        """Do nothing: all is written."""

    def stopProducing(self) -> None:
        """Do nothing: all is written."""


class NoCookies(IndexableCookieJar):
    """A cookie jar that stays empty: treq shares its jar between all requests, so all clients."""

    def add_cookie_header(self, request: Any) -> None:
        """Add nothing."""

    def extract_cookies(self, response: Any, request: Any) -> None:
        """Keep nothing."""

    def set_cookie(self, cookie: Any) -> None:
        """Keep nothing."""
