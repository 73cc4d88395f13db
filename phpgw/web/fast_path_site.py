"""An HTTP server that tries fast paths first, and twisted.web for all else.

Most connections to it have one purpose: a push with a connection of its own, or a handshake. Until
a request is none of these, a connection has no HTTP parser, no producer and no timer of its own.
All limits and timeouts are those of :class:`phpgw.web.strict_http.StrictChannel`.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol, final

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from twisted.web.http import HTTPChannel

from phpgw.deadlines import Deadlines
from phpgw.transport.close_now import close_now
from phpgw.transport.write_now import idle_socket, send, send_last
from phpgw.web.site import GatewaySite
from phpgw.web.strict_http import IDLE_TIMEOUT, StrictChannel

# The header lines of a plain request. The spaces around a value are part of it here. If a space
# could match in two places, a line that does not match would make the expression try each line
# before it in two ways.
HEADER_LINES = rb"(?:[A-Za-z-]+:[\x20-\x7e]*\r\n)+"


class IFastPath(Protocol):
    """A way to serve a kind of request without twisted.web."""

    def serve(self, channel: "FastPathChannel", data: bytes) -> bool:
        """Serve a request, or return false if it is not of this kind.

        :param data: all that was received since the last response. To be served, it has to be
            exactly one request; no request is parsed in part here.
        """


@final
class FastResponse(NamedTuple):
    """An HTTP response.

    :ivar data: the whole response.
    :ivar is_last: whether the connection is closed after it.
    """

    data: bytes
    is_last: bool


class FastPathChannel(StrictChannel):
    """An HTTP connection that is on the fast paths until a request that none of them serves.

    It is *light* at first, and does only what a request on a fast path needs. It becomes a whole
    :class:`~.strict_http.StrictChannel` for any other request, and if its peer does not read.

    :ivar caller: what a fast path keeps of the peer.
    """

    caller: Any = None
    _is_light = True
    _is_on_fast_path = True
    # What was received while a response is awaited; None if none is.
    _held: bytearray | None = None
    timeOut: float | None  # type: ignore[assignment]  # noqa: N815

    def __init__(self) -> None:
        # Without a call of the other classes' methods: see _grow.
        pass

    def connectionMade(self) -> None:
        self.site.idle_connections.add(self)
        self.site.head_timeouts.start(self)

    def dataReceived(self, data: bytes) -> None:
        """Serve a request by a fast path, or leave the connection to twisted.web."""
        if self._held is not None:
            self._hold(data)
            return
        if self._is_on_fast_path and not self.is_closing:
            for path in self.site.fast_paths:
                if path.serve(self, data):
                    return
            self._is_on_fast_path = False
            self._grow()
        super().dataReceived(data)

    def respond(self, response: bytes, is_last: bool) -> None:
        """Send the whole response to a request.

        :param is_last: whether the connection is closed after it.
        """
        idle = idle_socket(self.transport)
        if idle is None:
            sent = 0
        else:
            sent = send_last(idle, response) if is_last and self._is_light else send(idle, response)
        if sent < len(response):
            self._grow()
            self.transport.write(response[sent:])
        if not self._is_light:
            if is_last:
                self.loseConnection()
            else:
                self.await_request()
                self.site.idle_connections.add(self)
        elif is_last:
            close_now(self.transport)
        else:
            site = self.site
            if self._is_first_request:
                site.head_timeouts.stop(self)
                self._is_first_request = False
            site.idle_timeouts.start(self)
            site.idle_connections.add(self)

    def respond_later(self, response: Deferred[FastResponse]) -> None:
        """Send the whole response to a request once it is there.

        What the peer sends meanwhile is kept until then.
        """
        self._held = bytearray()
        self.site.idle_connections.discard(self)
        if self._is_light:
            self._timeouts.stop(self)
        else:
            self.setTimeout(None)
        response.addCallbacks(self._respond_now, self._give_up)

    def _respond_now(self, response: FastResponse) -> None:
        held, self._held = self._held, None
        if self.is_closing:
            return
        self.respond(response.data, response.is_last)
        if held:
            self.transport.resumeProducing()
            self.dataReceived(bytes(held))

    def _give_up(self, failure: Failure) -> Failure:
        """Close the connection: nobody knows what to respond. Twisted logs the failure."""
        self.drop()
        return failure

    def _hold(self, data: bytes) -> None:
        """Keep what the peer sends before it has its response."""
        assert self._held is not None
        self._held += data
        self.transport.pauseProducing()

    def release(self) -> Any:
        """Return the transport, for another protocol; this one is not used any longer."""
        self._forget()
        transport, self.transport = self.transport, None
        return transport

    def timeoutConnection(self) -> None:  # noqa: N802
        self._grow()
        super().timeoutConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self._is_light:
            self.is_closing = True
            self._forget()
        else:
            super().connectionLost(reason)

    @property
    def _timeouts(self) -> "Deadlines[FastPathChannel]":
        site: FastPathSite = self.site
        return site.head_timeouts if self._is_first_request else site.idle_timeouts

    def _forget(self) -> None:
        self.site.idle_connections.discard(self)
        self._timeouts.stop(self)

    def _grow(self) -> None:
        """Become a whole channel, with the rest of the time that the peer has."""
        if self._is_light:
            self._is_light = False
            super().__init__()
            self.site.prepare(self)
            timeouts = self._timeouts
            self.timeOut = timeouts.seconds_left(self)
            timeouts.stop(self)
            # It is among the idle connections already.
            HTTPChannel.connectionMade(self)


class FastPathSite(GatewaySite):
    """A site that tries fast paths first.

    :ivar fast_paths: these, in order.
    :ivar head_timeouts: the timeouts of new connections.
    :ivar idle_timeouts: the timeouts of connections that wait for another request.
    """

    protocol: Any = FastPathChannel

    def __init__(self, fast_paths: Sequence[IFastPath], *arguments: Any, **options: Any) -> None:
        """Take the fast paths, and the arguments of any other site."""
        super().__init__(*arguments, **options)
        self.fast_paths = tuple(fast_paths)
        expire = FastPathChannel.timeoutConnection
        self.head_timeouts: Deadlines[FastPathChannel] = Deadlines(
            self.reactor, self.head_timeout, expire
        )
        self.idle_timeouts: Deadlines[FastPathChannel] = Deadlines(
            self.reactor, IDLE_TIMEOUT, expire
        )

    def buildProtocol(self, addr: IAddress | None) -> Any:
        """Return a light channel."""
        channel = self.protocol()
        channel.site = channel.factory = self
        return channel

    def prepare(self, channel: Any) -> None:
        """Give a channel what twisted.web's site gives to each at the start."""
        channel.requestFactory = self.requestFactory
        channel.callLater = self.reactor.callLater
