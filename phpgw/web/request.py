"""A request to the gateway's HTTP server: validated, and with a limited body."""

import re
from io import BytesIO
from typing import Any

from twisted.web.http import HTTPChannel
from twisted.web.resource import IResource
from twisted.web.server import Request

from phpgw.web.host import parse_host
from phpgw.web.refusal_log import log_refusal
from phpgw.web.response import HttpError

# The most segments of a path. No path of the gateway is deeper. twisted.web takes time for each
# segment, in proportion to the number of those that follow.
_MAX_DEPTH = 32
# A request target in absolute form: RFC 9112, section 3.2.2.
_ABSOLUTE_FORM = re.compile(rb"(?:https?|wss?)://([^/?]*)(.*)", re.IGNORECASE | re.DOTALL)


def is_too_large(request: Request) -> bool:
    """Return whether the request's body exceeded the limit. The body is then empty."""
    return isinstance(request, LimitedRequest) and request.is_too_large


class LimitedRequest(Request):
    """A validated request that keeps no more of its body than the limit.

    The rest of a larger body is read and dropped, so that the client can read the response.

    :param limit: bytes of a body that are kept.
    """

    is_too_large = False
    _limit: int
    _received = 0
    # Whether the response was sent before the body was complete.
    _has_early_response = False
    # The host in the request line, if the target is in absolute form.
    _target_host: bytes | None = None

    def __init__(self, channel: HTTPChannel, limit: int) -> None:
        super().__init__(channel, parsePOSTFormSubmission=False)
        self._limit = limit

    def gotLength(self, length: int | None) -> None:
        """Prepare for a body of this length.

        The body is kept in memory, or not at all. twisted.web would write a long one to disk.
        """
        channel: Any = self.channel
        self.content = BytesIO()
        self.method, self.clientproto = channel._command, channel._version
        self.is_too_large = length is not None and length > channel.site.max_read_size
        if length != 0 and not channel.site.wants_body(self):
            self._limit = 0

    def requestReceived(self, command: bytes, path: bytes, version: bytes) -> None:
        """Process a complete request.

        twisted.web's own method would first parse the form and the query, which may be long,
        before the access check.
        """
        assert self.content is not None
        self.content.seek(0)
        if absolute := _ABSOLUTE_FORM.fullmatch(path):
            self._target_host, target = absolute.groups()
            path = target if target.startswith(b"/") else b"/" + target
        self.method, self.uri, self.clientproto = command, path, version
        self.path = path.partition(b"?")[0]
        self.args = {}
        self.process()

    def handleContentChunk(self, data: bytes) -> None:
        if self._has_early_response:
            return
        channel: Any = self.channel
        self._received += len(data)
        if self._received <= self._limit:
            super().handleContentChunk(data)
            return
        if not self.is_too_large:
            self.is_too_large = True
            self.content = BytesIO()
        if self._received > channel.site.max_read_size:
            self._has_early_response = True
            channel.refuse_body()

    def process(self) -> None:
        try:
            self._validate()
        except HttpError as error:
            log_refusal(self.getClientAddress(), error.status, str(error))
            self._set_common_headers()
            body = error.as_text(self)
            if self.method != b"HEAD":
                self.setHeader("Content-Length", str(len(body)))
            self.setHeader("Connection", "close")
            self.channel.persistent = 0
            self.write(body)
            self.finish()
        else:
            super().process()

    def render(self, resrc: IResource) -> None:
        self._set_common_headers()
        super().render(resrc)

    def _set_common_headers(self) -> None:
        self.setHeader("Server", "phpgw")
        # A browser must not treat a text as an HTML page, whatever is in it.
        self.setHeader("X-Content-Type-Options", "nosniff")

    def _validate(self) -> None:
        """Validate the path and the Host header.

        :raises HttpError: with status 400 or 404, if they are invalid.
        """
        if not self.path.startswith(b"/"):
            # twisted.web would drop the first character, whatever it is.
            raise _bad_request("the path has to begin with a slash")
        hosts = self.requestHeaders.getRawHeaders(b"Host", [])
        # RFC 9112, section 3.2.
        if len(hosts) > 1 or not (hosts or self.clientproto == b"HTTP/1.0"):
            raise _bad_request("there has to be one Host header")
        if any(parse_host(host) is None for host in hosts):
            raise _bad_request("the Host header is malformed")
        if self._target_host is not None:
            # RFC 9112, section 3.2.2: it replaces the Host header.
            if not parse_host(self._target_host):
                raise _bad_request("the host in the request line is malformed")
            self.requestHeaders.setRawHeaders(b"Host", [self._target_host])
        if self.path.count(b"/") > _MAX_DEPTH:
            raise HttpError(404, "There is nothing here: the path is too deep.")


def _bad_request(fault: str) -> HttpError:
    return HttpError(400, f"Bad Request: {fault}")
