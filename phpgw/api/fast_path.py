"""The pushes that PHP's curl and the like make, answered without twisted.web.

A request that came whole, in one piece, with no header but a few that mean nothing unusual, takes
a regular expression to understand. Anything else, be it only a little odd, is left to twisted.web
and the resources, and with it all that follows on that connection: nothing is ever half read here,
so nobody can make the two disagree about where a request ends.

Pushes a second over kept connections: 0.24 of the Go gateway's before, 1.03 after; over a
connection each: 0.57 before, 0.66 after.
"""

import re
import time
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

from twisted.web.http import datetimeToString

from phpgw.api.access import Access, Caller, is_for_us
from phpgw.api.batch import Batches
from phpgw.api.forms import InvalidForm, url_encoded_fields
from phpgw.hub.commander import Commander
from phpgw.hub.commands import InvalidCommand
from phpgw.web.site import GatewaySite
from phpgw.web.strict_http import StrictChannel
from phpgw.web.write_now import write_now

# What is taken here, with the types that a body may have.
_TYPES = {
    b"POST /send HTTP/1.1": (b"application/x-www-form-urlencoded",),
    b"POST /commands HTTP/1.1": (b"application/json", b"application/vnd.phpgw+json"),
}
_SEND, _COMMANDS = _TYPES
_START = b"POST /"
_BLANK_LINE = b"\r\n\r\n"
_LONGEST_HEAD = 1000
# The value's blanks are not taken apart here: where a blank may be in two places, one line that
# does not fit makes each line before it be tried in two ways.
_HEADERS = re.compile(rb"(?:[A-Za-z-]+:[\x20-\x7e]*\r\n)+\r\n")
# None of these says anything of a proxy or a browser.
_HARMLESS = frozenset(
    (
        b"host",
        b"user-agent",
        b"accept",
        b"accept-encoding",
        b"authorization",
        b"connection",
        b"content-type",
        b"content-length",
    )
)
_LENGTH = re.compile(rb"[0-9]{1,9}")
# In place of whom a push's client_id names; twisted.web's resource knows these, too.
_OTHER_TARGETS = frozenset(("group", "user", "all"))
_HEAD = b"HTTP/1.1 200 OK\r\nServer: phpgw\r\nDate: %b\r\nX-Content-Type-Options: nosniff\r\n"
_CLOSE = b"Connection: close\r\n"
_SENT = b"Content-Type: text/plain; charset=utf-8\r\nContent-Length: 12\r\n\r\nMessage sent"
_RESULTS = b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"


class FastResponse(NamedTuple):
    """An HTTP response.

    :ivar data: all of it.
    :ivar is_last: whether the connection ends with it.
    """

    data: bytes
    is_last: bool


class RequestHead(NamedTuple):
    """A request's head, as far as it matters.

    :ivar line: the request line.
    :ivar length: of the body; -1 if the head is not plain.
    :ivar is_last: whether the connection is to end after the request.
    :ivar authorization: the header's value; empty if there is none.
    """

    line: bytes
    length: int
    is_last: bool
    authorization: bytes


class FastPath:
    """Responds to plain pushes (one message to one client) and to plain batches.

    :param limit: bytes that a request's body may have.
    :ivar access: who may push.
    """

    def __init__(
        self,
        access: Access,
        commander: Commander,
        batches: Batches,
        limit: int,
        wall_time: Callable[[], float] = time.time,
    ) -> None:
        self._wall_time = wall_time
        self.access = access
        self._commander = commander
        self._batches = batches
        self._limit = limit
        self._second = -1
        self._head = b""
        self._sent: tuple[FastResponse, FastResponse]

    def answer(self, data: bytes, caller: Caller) -> FastResponse | None:
        """Serve what came, if it is one plain push that is allowed; ``None`` if it is not."""
        if not data.startswith(_START):
            return None
        end = data.find(_BLANK_LINE, 0, _LONGEST_HEAD) + len(_BLANK_LINE)
        body = data[end:]
        head = _understood(data[:end])
        if head.length != len(body) or head.length > self._limit:
            return None
        if not self.access.admits(caller, head.authorization):
            return None
        if head.line == _COMMANDS:
            return self._run(body, head.is_last)
        return self._send(body, head.is_last)

    def _send(self, body: bytes, is_last: bool) -> FastResponse | None:
        try:
            fields = url_encoded_fields(body)
            message, client_id = fields["message"], fields["client_id"].decode()
            # A text message is UTF-8, or browsers drop the connection: RFC 6455, section 8.1.
            message.decode()
        except (InvalidForm, KeyError, UnicodeDecodeError):
            return None
        if not _OTHER_TARGETS.isdisjoint(fields):
            return None
        if not self._commander.push_to_client(client_id, message):
            return None
        self._keep_time()
        return self._sent[is_last]

    def _run(self, body: bytes, is_last: bool) -> FastResponse | None:
        try:
            results = self._batches.run_to_completion(body)
        except InvalidCommand:
            return None
        if results is None:
            return None
        self._keep_time()
        head = self._head + _CLOSE if is_last else self._head
        return FastResponse(head + _RESULTS % (len(results), results), is_last)

    def _keep_time(self) -> None:
        """Have the date right in what is ready to be sent."""
        second = int(self._wall_time())
        if second != self._second:
            self._second = second
            self._head = _HEAD % datetimeToString(second)
            self._sent = (
                FastResponse(self._head + _SENT, is_last=False),
                FastResponse(self._head + _CLOSE + _SENT, is_last=True),
            )


# Callers that push again and again do so with the same few heads.
@lru_cache(maxsize=256)
def _understood(head: bytes) -> RequestHead:
    """Read a request's head, if it is plain."""
    line, _, rest = head.partition(b"\r\n")
    if line not in _TYPES or not _HEADERS.fullmatch(rest):
        return RequestHead(line, -1, True, b"")
    headers: dict[bytes, bytes] = {}
    for each in rest[:-4].split(b"\r\n"):
        name, _, value = each.partition(b":")
        name = name.lower()
        if name not in _HARMLESS or name in headers:
            return RequestHead(line, -1, True, b"")
        headers[name] = value.strip()
    length = headers.get(b"content-length", b"")
    connection = headers.get(b"connection", b"keep-alive").lower()
    is_plain = (
        is_for_us(headers.get(b"host", b""))
        and headers.get(b"content-type", b"").lower() in _TYPES[line]
        and connection in (b"keep-alive", b"close")
        and _LENGTH.fullmatch(length) is not None
    )
    return RequestHead(
        line,
        int(length) if is_plain else -1,
        connection == b"close",
        headers.get(b"authorization", b""),
    )


class FastPathChannel(StrictChannel):
    """An HTTP connection that may begin with plain pushes."""

    _is_on_fast_path = True
    _caller: Caller | None = None

    def dataReceived(self, data: bytes) -> None:
        if self._is_on_fast_path and not self.is_closing:
            lane = self.site.fast_path
            if self._caller is None:
                self._caller = lane.access.caller(self.transport)
            answer = lane.answer(data, self._caller)
            if answer is not None:
                write_now(self.transport, answer.data)
                if answer.is_last:
                    self.loseConnection()
                else:
                    self.await_request()
                    self.site.idle_connections.add(self)
                return
            self._is_on_fast_path = False
        super().dataReceived(data)


class FastPathSite(GatewaySite):
    """A site on whose connections plain pushes are answered by a shorter way.

    :ivar fast_path: what answers them.
    """

    protocol = FastPathChannel

    def __init__(self, fast_path: FastPath, *arguments: Any, **options: Any) -> None:
        """Take the fast lane, and what any other site takes."""
        self.fast_path = fast_path
        super().__init__(*arguments, **options)
