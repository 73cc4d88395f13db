"""The WebSocket connections of those who watch the feed, and who gets one."""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from phpgw.feed.feed import GatewayFeed, feed_message
from phpgw.feed.subscription import InvalidSubscription, parse_subscription
from phpgw.relay.connect import Refusal
from phpgw.web.expiring_tokens import Tokens, token_digest
from phpgw.websocket.autobahn_slim import SlimFactory, SlimProtocol
from phpgw.websocket.frames import FrameEncoder
from phpgw.websocket.handshake import attach, release
from phpgw.websocket.opening import read_opening
from phpgw.websocket.outbox import unsent_bytes

TICKET_SECONDS = 30
MAX_TICKETS = 100
_MAX_VIEWERS = 32
# Bytes that a subscription may have.
_MAX_MESSAGE = 16384
# Bytes of answers to pings that a viewer may leave unread.
_MAX_PONGS = 65536
_POLICY_VIOLATION = 1008
_MAX_REASON = 120
# Seconds for a viewer to read what is unsent, after which its connection is cut.
_CLOSE_TIMEOUT = 5
_NOT_PERMITTED = "you may not watch any longer"


class ViewerProtocol(SlimProtocol):
    """The WebSocket connection of a viewer: a :class:`phpgw.feed.feed.Viewer`.

    :ivar is_permitted: whether the viewer may still watch. If not, nothing more is sent to it.
    """

    factory: "ViewerFactory"
    is_permitted: Callable[[], bool]
    transport: Any
    _abort_call: IDelayedCall | None = None

    @property
    def unread(self) -> int:
        return unsent_bytes(self.transport)

    def send(self, messages: Iterable[bytes]) -> None:
        if not self.is_permitted():
            self.close(_POLICY_VIOLATION, _NOT_PERMITTED)
            return
        encode = self.factory.frame_encoder.encode
        self.sendData(b"".join([encode(message, is_binary=False) for message in messages]))

    def send_events(self, events: Sequence[bytes], lost: int) -> None:
        self.send([*events, feed_message(lost=lost)] if lost else events)

    def close(self, code: int, reason: str) -> None:
        self.factory.forget(self)
        self.sendCloseFrame(code, reason.encode()[:_MAX_REASON])
        # Without waiting for its close frame: there is nothing more to say.
        self.transport.loseConnection()
        if self._abort_call is None:
            self._abort_call = self.factory.reactor.callLater(_CLOSE_TIMEOUT, self._abort)

    def _abort(self) -> None:
        self._abort_call = None
        self.transport.abortConnection()

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        try:
            subscription = parse_subscription(payload)
        except InvalidSubscription as error:
            self.close(_POLICY_VIOLATION, str(error))
        else:
            self.factory.feed.subscribe(self, subscription)

    def onPing(self, payload: bytes) -> None:  # noqa: N802
        if self.unread <= _MAX_PONGS:
            super().onPing(payload)

    def onClose(self, wasClean: bool, code: int | None, reason: str | None) -> None:
        self.factory.forget(self)
        if self._abort_call is not None:
            self._abort_call.cancel()
            self._abort_call = None


class ViewerFactory(SlimFactory):
    """Makes the connections of viewers.

    Who has a ticket gets one. The API gives out tickets, so that its own rules say who does: a
    handshake itself has signs of a browser and a proxy, whoever it comes from.

    :param tickets: each with the permission of who got it.
    :param permits: returns whether a permission still holds.
    """

    noisy = False
    protocol: Any = ViewerProtocol

    def __init__(
        self,
        reactor: IReactorTime,
        feed: GatewayFeed,
        tickets: Tokens,
        permits: Callable[[str], bool],
    ) -> None:
        super().__init__(server="phpgw", reactor=reactor)
        self.feed = feed
        self.frame_encoder = FrameEncoder()
        self._tickets = tickets
        self._permits = permits
        self._viewers: set[ViewerProtocol] = set()
        self.setProtocolOptions(
            versions=[13],
            webStatus=False,
            maxMessagePayloadSize=_MAX_MESSAGE,
            maxFramePayloadSize=_MAX_MESSAGE,
            failByDrop=False,
            # Autobahn's timeouts use the global reactor.
            openHandshakeTimeout=0,
            closeHandshakeTimeout=0,
        )
        self.specialize(self.protocol)

    def make_ticket(self, permission: str) -> Deferred[str]:
        """Return a ticket for one connection.

        :param permission: of whoever gets the ticket.
        """
        return self._tickets.create(permission)

    def close_unpermitted(self) -> None:
        """Close the connections of those whose permission has ended, which is done anyway when
        there is something to send to them.
        """
        for viewer in [*self._viewers]:
            if not viewer.is_permitted():
                viewer.close(_POLICY_VIOLATION, _NOT_PERMITTED)

    async def open(self, request: Any, ticket: bytes) -> None:
        """Turn a request of twisted.web into the connection of a viewer.

        :raises Refusal: if it is no valid handshake, if the ticket is not valid, or if there are
            too many viewers.
        """
        digest = token_digest(ticket)
        permission = self._tickets.find(digest)
        if permission is None or not self._permits(permission):
            raise _invalid_ticket()
        self._check_room()
        opening = read_opening(request, compression=False)
        # Others may try the same ticket at the same time, and viewers come meanwhile.
        permission = await self._tickets.remove(digest)
        if permission is None:
            raise _invalid_ticket()
        self._check_room()
        if request.channel is None:
            # The viewer has gone meanwhile.
            return
        transport, unread = release(request)
        protocol: Any = self.buildProtocol(transport.getPeer())
        protocol.is_permitted = partial(self._permits, permission)
        self._viewers.add(protocol)
        attach(transport, protocol)
        protocol.open(opening.response(None, ()), None)
        if unread:
            protocol.dataReceived(unread)

    def _check_room(self) -> None:
        """Check that there can be one more viewer.

        :raises Refusal: if not.
        """
        if self.feed.is_stopped:
            raise Refusal(503, "This gateway is about to stop.", [(b"Retry-After", b"1")])
        if len(self._viewers) >= _MAX_VIEWERS:
            raise Refusal(503, f"{_MAX_VIEWERS} others watch already.", [(b"Retry-After", b"60")])

    def forget(self, viewer: ViewerProtocol) -> None:
        """Note that a viewer's connection has ended."""
        self._viewers.discard(viewer)
        self.feed.remove(viewer)


def _invalid_ticket() -> Refusal:
    return Refusal(
        403,
        "POST to this path for a ticket, and connect with ?ticket=TICKET within "
        f"{TICKET_SECONDS} s. Each is for one connection.",
    )
