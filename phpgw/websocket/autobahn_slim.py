"""Autobahn's server protocol without the features that the gateway does not use.

The gateway reads and answers the opening handshake itself; Autobahn's part begins at the first
frame. What Autobahn sets on each new connection are defaults of the class here. This makes
connections faster and smaller; the bytes on the wire stay the same. In memory, an echo of 48 bytes
took 12.2 us before and takes 7.6 us. With the handshake parsed once, a connection from its request
to its close takes two thirds of the CPU; and an idle client takes 3 KB, and took 6.
"""

from functools import cached_property, lru_cache
from socket import socket
from typing import Any

import txaio.tx
from autobahn.twisted.util import peer2str
from autobahn.twisted.websocket import WebSocketServerFactory, WebSocketServerProtocol
from autobahn.websocket.compress import (
    PerMessageDeflate,
    PerMessageDeflateOffer,
    PerMessageDeflateOfferAccept,
)
from autobahn.websocket.utf8validator import Utf8Validator
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IReactorTime
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure

from phpgw.log_limit import line_limit
from phpgw.transport.write_now import send, send_last
from phpgw.websocket.batch_writer import BatchWriter

_FIN = 0x80
# The opcode of a close frame: RFC 6455, section 5.5.1.
_CLOSE = 0x8


class _UnusedFuture:
    """A future of Autobahn's that nobody waits for."""

    def callback(self, result: object) -> None:
        """Do nothing."""


_UNUSED_FUTURE = _UnusedFuture()


class SlimProtocol(WebSocketServerProtocol):
    """A server protocol; :meth:`SlimFactory.specialize` adds options and defaults to a subclass.

    :ivar idle_socket: the socket of a plain TCP or UNIX transport, while all bytes for the peer
        have been sent on it, and none wait in a batch; ``None`` if that is not known. Bytes for an
        open connection can be sent on it. If it does not take them all, set this to ``None`` and
        give the rest to the transport.
    """

    # Limited, since any peer can make it write.
    log = txaio.tx.make_logger(observer=line_limit)
    factory: Any
    transport: Any
    is_open: Any = _UNUSED_FUTURE
    is_closed: Any = _UNUSED_FUTURE
    inside_message = False
    current_frame: Any = None
    # The payload so far, as a list of at most one item: Autobahn appends to it.
    message_data: Any = None
    # In place of seven attributes of the transport, which a broadcast finds in no cache of the
    # processor, for each client.
    idle_socket: socket | None = None

    def __init__(self) -> None:
        # Without a call of Autobahn's: the class has what it would set.
        pass

    @property
    def peer(self) -> str:  # type: ignore[override]
        """Return the peer's address for Autobahn's log lines."""
        return str(peer2str(self.transport))

    @cached_property
    def utf8validator(self) -> Utf8Validator:  # type: ignore[override]
        """Return the validator of messages in several frames or reads; most need none."""
        return Utf8Validator()

    def connectionMade(self) -> None:
        """Do nothing: the class has what Autobahn would set."""

    def open(self, response: bytes, deflate: bytes | None) -> None:
        """Send the response to the opening handshake, and open the connection.

        :param deflate: the accepted offer of permessage-deflate, as of
            :func:`~.permessage_deflate.deflate_offer`; ``None`` if nothing is compressed.
        """
        if deflate is not None:
            self._perMessageCompress = PerMessageDeflate.create_from_offer_accept(
                True, _accept_deflate(deflate)
            )
        self.sendData(response)
        self.state = self.STATE_OPEN
        self.onOpen()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if isinstance(reason.value, ConnectionDone):
            # Autobahn's method would first format lines for the debug log.
            self.state = self.STATE_CLOSED
            self.onClose(self.wasClean, None, None)
        else:
            super().connectionLost(reason)
        # It refers to this object. Without reference cycles it is freed at once, with its buffers;
        # the garbage collector can take minutes to find a cycle.
        self.transport = self.idle_socket = None

    def onOpen(self) -> None:
        """Do nothing: Autobahn would write a line for the debug log."""

    def sendData(self, data: bytes, sync: bool = False, chopsize: int | None = None) -> None:
        # Autobahn can send in chunks or with delays, for tests of other implementations.
        idle = self.idle_socket
        if idle is None:
            self.factory.batch_writer.write(self, data)
            return
        sent = send(idle, data)
        if sent < len(data):
            self.idle_socket = None
            self.transport.write(data[sent:] if sent else data)

    def sendFrame(self, opcode: int, payload: bytes = b"", *_: Any, **options: Any) -> None:
        # Autobahn sends only control frames in this way: short ones, and a server masks none.
        self.sendData(bytes((_FIN | opcode, len(payload))) + payload)

    def sendCloseFrame(
        self, code: int | None = None, reasonUtf8: bytes | None = None, isReply: bool = False
    ) -> None:
        idle = self.idle_socket
        if self.state != self.STATE_OPEN or not isReply or idle is None:
            super().sendCloseFrame(code, reasonUtf8, isReply)
            return
        # As Autobahn does, but the connection is closed right after this: see onCloseFrame.
        payload = (b"" if code is None else code.to_bytes(2, "big")) + (reasonUtf8 or b"")
        frame = bytes((_FIN | _CLOSE, len(payload))) + payload
        sent = send_last(idle, frame)
        if sent < len(frame):
            self.idle_socket = None
            self.transport.write(frame[sent:])
        self.state = self.STATE_CLOSING

    def dropConnection(self, abort: bool = False) -> None:  # noqa: N802
        if self.wasClean and self.state != self.STATE_CLOSED:
            # Autobahn's method would first format a line for the debug log.
            self.unregisterProducer()
            self.state = self.STATE_CLOSED
            self._closeConnection(abort)
        else:
            super().dropConnection(abort)

    def onMessageFrameData(self, payload: bytes) -> None:
        # Autobahn would keep a list of all pieces, which can be empty or single bytes.
        if not payload or self.state != self.STATE_OPEN:
            return
        pieces = self.message_data
        if not pieces:
            pieces.append(payload)
        elif type(pieces[0]) is bytearray:
            pieces[0] += payload
        else:
            pieces[0] = bytearray(pieces[0]) + payload

    def onMessageFrameEnd(self) -> None:
        """Do nothing: only whole messages are used."""

    def onMessageEnd(self) -> None:
        # Autobahn would also notify listeners, and there are none.
        pieces, self.message_data = self.message_data, None
        if self.state == self.STATE_OPEN:
            # Often this is the received object itself, without a copy.
            self.onMessage(bytes(pieces[0]) if pieces else b"", self.message_is_binary)


class SlimFactory(WebSocketServerFactory):
    """A factory of protocols that share options and defaults; Autobahn would copy them to each.

    :ivar batch_writer: writes frames to the transports of all connections.
    """

    protocol: Any

    def __init__(self, *, server: str, reactor: IReactorTime) -> None:
        super().__init__(server=server, reactor=reactor)
        self.batch_writer = BatchWriter(reactor)

    def specialize(self, protocol: type[SlimProtocol]) -> None:
        """Set the protocol: a subclass of this one with the current options and the defaults."""
        template = WebSocketServerProtocol()
        template.factory = self
        template._connectionMade()
        attributes = {
            name: staticmethod(value) if callable(value) else value
            for name, value in vars(template).items()
            if not hasattr(SlimProtocol, name) or name in protocol.CONFIG_ATTRS
        }
        names = {"__module__": protocol.__module__}
        self.protocol = type(protocol.__name__, (protocol,), {**attributes, **names})


# There are few different offers, and the acceptance of one is never changed.
@lru_cache(maxsize=64)
def _accept_deflate(offer: bytes) -> PerMessageDeflateOfferAccept:
    parameters = {
        name: [value or True]
        for name, _, value in (part.partition("=") for part in offer.decode().split("; ")[1:])
    }
    return PerMessageDeflateOfferAccept(PerMessageDeflateOffer.parse(parameters))
