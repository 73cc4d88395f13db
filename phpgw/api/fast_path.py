"""Pushes as PHP's curl and most HTTP clients make them, served without twisted.web.

A plain request comes complete, in one piece, and has only a few usual headers, so that a regular
expression can parse it. Any other request, and all that follows on its connection, is left to
twisted.web and the resources. So no request is parsed in part here, and nobody can make the two
parsers disagree about where a request ends.

Pushes a second over kept connections: 0.24 of the Go gateway's before, 0.74 to 1.07 after. CPU for
a push: 0.86 of the Go gateway's over kept connections, 1.03 over a connection each (with the light
connections of :mod:`phpgw.web.fast_path_site`).
"""

import re
import time
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

from twisted.internet.defer import Deferred
from twisted.web.http import RESPONSES, datetimeToString

from phpgw.api.access import Access, Caller, is_for_this_machine
from phpgw.api.batch import Batches
from phpgw.api.forms import InvalidForm, url_encoded_fields
from phpgw.api.send import problem_of
from phpgw.hub.commander import Commander, Result
from phpgw.hub.commands import InvalidCommand, Send, Target
from phpgw.metrics import Metrics
from phpgw.web.fast_path_site import HEADER_LINES, FastPathChannel, FastResponse

# The request lines that are served here, with the content types that a body may have.
_TYPES = {
    b"POST /send HTTP/1.1": (b"application/x-www-form-urlencoded",),
    b"POST /commands HTTP/1.1": (b"application/json", b"application/vnd.phpgw+json"),
}
_SEND, _COMMANDS = _TYPES
_START = b"POST /"
_BLANK_LINE = b"\r\n\r\n"
_MAX_HEAD_BYTES = 1000
_HEADERS = re.compile(HEADER_LINES + rb"\r\n")
# Headers that are no sign of a proxy or a browser.
_PLAIN_HEADERS = frozenset(
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
# Fields that name another target than client_id does, or are only for others; the resource serves
# these.
_OTHER_TARGETS = frozenset(("group", "user", "all", "upstream", "history"))
_HEAD = b"HTTP/1.1 200 OK\r\nServer: phpgw\r\nDate: %b\r\nX-Content-Type-Options: nosniff\r\n"
_CLOSE = b"Connection: close\r\n"
_SENT = b"Content-Type: text/plain; charset=utf-8\r\nContent-Length: 12\r\n\r\nMessage sent"
_PROBLEM = b"Content-Type: text/plain; charset=utf-8\r\nContent-Length: %d\r\n\r\n%b"
_RESULTS = b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"


class RequestHead(NamedTuple):
    """The head of a request.

    :ivar line: the request line.
    :ivar length: bytes of the body; -1 if the head is not plain.
    :ivar is_last: whether the connection is closed after the request.
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
        metrics: Metrics,
        wall_time: Callable[[], float] = time.time,
    ) -> None:
        self._wall_time = wall_time
        self.access = access
        self._commander = commander
        self._batches = batches
        self._limit = limit
        self._metrics = metrics
        self._second = -1
        self._head = b""
        self._sent: tuple[FastResponse, FastResponse]

    def serve(self, channel: FastPathChannel, data: bytes) -> bool:
        """Serve a plain push or batch; see :class:`phpgw.web.fast_path_site.IFastPath`."""
        if not data.startswith(_START):
            return False
        caller = channel.caller
        if caller is None:
            caller = channel.caller = self.access.caller(channel.transport)
        response = self.respond(data, caller)
        if response is None:
            return False
        if type(response) is FastResponse:
            channel.respond(response.data, response.is_last)
        else:
            channel.respond_later(response)
        return True

    def respond(self, data: bytes, caller: Caller) -> FastResponse | Deferred[FastResponse] | None:
        """Serve a plain push or batch, and return the response.

        :param data: all that was received since the last response.
        :returns: ``None`` if it is not exactly one plain request, or not allowed, or cannot be
            served at once; the resources have to serve it then.
        """
        end = data.find(_BLANK_LINE, 0, _MAX_HEAD_BYTES) + len(_BLANK_LINE)
        body = data[end:]
        head = _parse_head(data[:end])
        if head.length != len(body) or head.length > self._limit:
            return None
        if not self.access.allows_caller(caller, head.authorization):
            return None
        if head.line == _COMMANDS:
            return self._run(body, head.is_last)
        return self._send(body, head.is_last)

    def _send(self, body: bytes, is_last: bool) -> FastResponse | Deferred[FastResponse] | None:
        try:
            fields = url_encoded_fields(body)
            message, client_id = fields["message"], fields["client_id"].decode()
            # A text message is UTF-8, or browsers drop the connection: RFC 6455, section 8.1.
            if not message.isascii():
                message.decode()
        except (InvalidForm, KeyError, UnicodeDecodeError):
            return None
        if len(fields) > 2 and not _OTHER_TARGETS.isdisjoint(fields):
            return None
        pushed = self._commander.push_to_client(client_id, message)
        if not pushed:
            return None
        if pushed is not True:
            push = Send(Target("client", (client_id,)), message)
            return pushed.addCallback(self._finish, push, is_last)
        self._update_date()
        return self._sent[is_last]

    def _finish(self, result: Result, push: Send, is_last: bool) -> FastResponse:
        """Return the response to a push to a client of another process."""
        self._update_date()
        problem = problem_of(push, result)
        if problem is None:
            return self._sent[is_last]
        self._metrics.pushes_refused["client"] += 1
        head = self._head.replace(b"200 OK", b"%d %b" % (problem.status, RESPONSES[problem.status]))
        text = f"{problem}\n".encode()
        close = _CLOSE if is_last else b""
        return FastResponse(head + close + _PROBLEM % (len(text), text), is_last)

    def _run(self, body: bytes, is_last: bool) -> FastResponse | None:
        try:
            results = self._batches.run_to_completion(body)
        except InvalidCommand:
            return None
        if results is None:
            return None
        self._update_date()
        head = self._head + _CLOSE if is_last else self._head
        return FastResponse(head + _RESULTS % (len(results), results), is_last)

    def _update_date(self) -> None:
        """Update the Date header in the prepared responses."""
        second = int(self._wall_time())
        if second != self._second:
            self._second = second
            self._head = _HEAD % datetimeToString(second)
            self._sent = (
                FastResponse(self._head + _SENT, is_last=False),
                FastResponse(self._head + _CLOSE + _SENT, is_last=True),
            )


# Most pushes have the same few heads.
@lru_cache(maxsize=256)
def _parse_head(head: bytes) -> RequestHead:
    """Parse a request's head, if it is plain."""
    line, _, rest = head.partition(b"\r\n")
    if line not in _TYPES or not _HEADERS.fullmatch(rest):
        return RequestHead(line, -1, True, b"")
    headers: dict[bytes, bytes] = {}
    for each in rest[:-4].split(b"\r\n"):
        name, _, value = each.partition(b":")
        name = name.lower()
        if name not in _PLAIN_HEADERS or name in headers:
            return RequestHead(line, -1, True, b"")
        headers[name] = value.strip()
    length = headers.get(b"content-length", b"")
    connection = headers.get(b"connection", b"keep-alive").lower()
    is_plain = (
        is_for_this_machine(headers.get(b"host", b""))
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
