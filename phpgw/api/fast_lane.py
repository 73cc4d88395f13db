"""The push that PHP's curl and the like make, answered without twisted.web.

A request that came whole, in one piece, with no header but a few that mean nothing unusual, takes
a regular expression to understand. Anything else, be it only a little odd, is left to twisted.web
and :mod:`phpgw.api.send`, and with it all that follows on that connection: nothing is ever half
read here, so nobody can make the two disagree about where a request ends.

Pushes a second over kept connections: 0.24 of the Go gateway's before, 1.03 after; over a
connection each: 0.57 before, 0.66 after.
"""

import re
from functools import lru_cache
from typing import Any, NamedTuple

from twisted.internet.interfaces import IReactorTime
from twisted.web.http import HTTPChannel, datetimeToString

from phpgw.api.access import is_local
from phpgw.api.fields import BadForm, url_encoded_fields
from phpgw.api.push import Deliveries, read_push
from phpgw.eager import eager_write

_START = b"POST /send HTTP/1.1\r\n"
_BLANK_LINE = b"\r\n\r\n"
_HEADERS = re.compile(rb"(?:[A-Za-z-]+: ?[\x20-\x7e]*\r\n)+\r\n")
# None of these says anything of a proxy, a browser, a token, or how long the request is, but for
# Content-Length.
_HARMLESS = frozenset(
    (
        b"host",
        b"user-agent",
        b"accept",
        b"accept-encoding",
        b"connection",
        b"content-type",
        b"content-length",
    )
)
_FORM = b"application/x-www-form-urlencoded"
_LENGTH = re.compile(rb"[0-9]{1,9}")


_REST = b"Content-Type: text/plain; charset=utf-8\r\nContent-Length: 12\r\n\r\nMessage sent"


class Answer(NamedTuple):
    """An HTTP response.

    :ivar data: all of it.
    :ivar is_last: whether the connection ends with it.
    """

    data: bytes
    is_last: bool


class FastLane:
    """Answers plain pushes.

    :param limit: bytes that a push may have.
    """

    def __init__(self, reactor: IReactorTime, deliveries: Deliveries, limit: int) -> None:
        self._seconds = reactor.seconds
        self._deliveries = deliveries
        self._limit = limit
        self._second = -1
        self._answers: tuple[Answer, Answer]

    def answer(self, data: bytes) -> Answer | None:
        """Serve what came from this machine, if it is one plain push; ``None`` if it is not."""
        if not data.startswith(_START):
            return None
        end = data.find(_BLANK_LINE, len(_START)) + len(_BLANK_LINE)
        body = data[end:]
        length, is_last = _understood(data[len(_START) : end])
        if length != len(body) or length > self._limit:
            return None
        try:
            push = read_push(url_encoded_fields(body))
        except BadForm:
            return None
        return self._sent(is_last) if self._deliveries.deliver(push) else None

    def _sent(self, is_last: bool) -> Answer:
        second = int(self._seconds())
        if second != self._second:
            self._second = second
            head = b"HTTP/1.1 200 OK\r\nDate: " + datetimeToString(second) + b"\r\n"
            self._answers = (
                Answer(head + _REST, is_last=False),
                Answer(head + b"Connection: close\r\n" + _REST, is_last=True),
            )
        return self._answers[is_last]


# Callers that push again and again do so with the same few heads.
@lru_cache(maxsize=256)
def _understood(head: bytes) -> tuple[int, bool]:
    """The body's length as the headers have it, and whether they ask for the connection's end.

    The length is -1 if they are not plain.
    """
    if not _HEADERS.fullmatch(head):
        return -1, True
    headers: dict[bytes, bytes] = {}
    for line in head[:-4].split(b"\r\n"):
        name, _, value = line.partition(b":")
        name = name.lower()
        if name not in _HARMLESS or name in headers:
            return -1, True
        headers[name] = value.strip()
    length = headers.get(b"content-length", b"")
    connection = headers.get(b"connection", b"keep-alive").lower()
    is_plain = (
        b"host" in headers
        and headers.get(b"content-type", b"").lower() == _FORM
        and connection in (b"keep-alive", b"close")
        and _LENGTH.fullmatch(length) is not None
    )
    return (int(length) if is_plain else -1), connection == b"close"


class FastLaneChannel(HTTPChannel):
    """An HTTP connection that may begin with plain pushes."""

    site: Any
    transport: Any
    _is_in_fast_lane: bool | None = None

    def dataReceived(self, data: bytes) -> None:
        if self._is_in_fast_lane is None:
            self._is_in_fast_lane = self.site.fast_lane is not None and is_local(
                self.transport.getPeer()
            )
        if self._is_in_fast_lane:
            answer = self.site.fast_lane.answer(data)
            if answer is not None:
                self.resetTimeout()
                eager_write(self.transport, answer.data)
                if answer.is_last:
                    self.loseConnection()
                return
            self._is_in_fast_lane = False
        super().dataReceived(data)
