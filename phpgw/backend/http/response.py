"""A response of a web server, as treq takes it from an agent."""

from typing import Any, Protocol

from twisted.internet.interfaces import IProtocol
from twisted.python.failure import Failure
from twisted.web.client import ResponseDone
from twisted.web.http_headers import Headers
from twisted.web.iweb import UNKNOWN_LENGTH, IResponse
from zope.interface import implementer

from phpgw.backend.reply import Head

_DONE = Failure(ResponseDone())


class ResponseHeaders(Headers):
    """The headers of a response that is not compressed.

    treq asks for the coding of each response, and writes down what is left of it. There is none,
    so it finds none, and writes nothing.

    :param head: the head of the response.
    """

    def __init__(self, head: Head) -> None:
        self._head = head

    def getRawHeaders(self, name: Any, default: Any = None) -> Any:
        """Return the values of a header; of Content-Encoding, always the default."""
        name = name.lower()
        if name == b"content-encoding":
            return default
        return [*self._head.values(name)] or default

    def setRawHeaders(self, name: Any, values: Any) -> None:
        """Change nothing."""

    def removeHeader(self, name: Any) -> None:
        """Change nothing."""


class Source(Protocol):
    """The connection that a response comes from."""

    def pause(self) -> None:
        """Read no more for now."""

    def resume(self) -> None:
        """Read on."""

    def abort(self) -> None:
        """Close the connection in the middle of the response."""


@implementer(IResponse)
class HttpResponse:
    """A response whose body is delivered while it comes; the transport of whom it is delivered to.

    :param length: bytes of the body; ``None`` if the head does not tell.
    :ivar head: the head as the relay gets it.
    :ivar body: the body, if all of it has come with the head.
    :ivar is_paused: whether the body is not read at present.
    """

    body: bytes | None = None

    version = (b"HTTP", 1, 1)
    phrase = b""
    request = None
    previousResponse = None
    disconnecting = False

    def __init__(self, source: Source, head: Head, length: int | None) -> None:
        self.head = head
        self.code = head.status
        self.length: Any = UNKNOWN_LENGTH if length is None else length
        self.is_paused = False
        self._source: Source | None = source
        self._protocol: IProtocol | None = None

    @property
    def headers(self) -> ResponseHeaders:
        """Return the headers."""
        return ResponseHeaders(self.head)

    def setPreviousResponse(self, response: IResponse) -> None:
        """Do nothing: no redirect is followed."""

    def deliverBody(self, protocol: IProtocol) -> None:
        """Deliver the body to a protocol, from now on.

        It has to be called before the callbacks of the response have returned.
        """
        self._protocol = protocol
        protocol.makeConnection(self)  # type: ignore[arg-type]

    def receive(self, data: bytes) -> None:
        """Pass on a piece of the body."""
        if self._protocol is not None:
            self._protocol.dataReceived(data)

    def finish(self, reason: Failure = _DONE) -> None:
        """Tell that the body is complete, or why it will not be."""
        self._source = None
        protocol, self._protocol = self._protocol, None
        if protocol is not None:
            protocol.connectionLost(reason)

    # The transport of whoever takes the body.

    def pauseProducing(self) -> None:
        """Read no more of the body for now."""
        if self._source is not None:
            self.is_paused = True
            self._source.pause()

    def resumeProducing(self) -> None:
        """Read on."""
        if self._source is not None:
            self.is_paused = False
            self._source.resume()

    def loseConnection(self) -> None:
        """Give up the rest of the body, and with it the connection."""
        source, self._source = self._source, None
        self._protocol = None
        if source is not None:
            source.abort()


class ShortResponse(HttpResponse):
    """A response whose body has come with its head; its connection is free for the next request.

    :ivar body: the body.
    """

    body: bytes

    def __init__(self, head: Head, body: bytes) -> None:
        # Without a call of the base class, which would take longer than all of this.
        self.head = head
        self.code = head.status
        self.body = body
        self.length = len(body)
        self.is_paused = False
        self._source = self._protocol = None

    def deliverBody(self, protocol: IProtocol) -> None:
        """Deliver the body to a protocol at once."""
        super().deliverBody(protocol)
        self.receive(self.body)
        self.finish()
