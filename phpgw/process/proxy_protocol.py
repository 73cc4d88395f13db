"""The PROXY protocol: a load balancer sends the client's address at the start of a connection.

Twisted has an implementation too. But it closes the connections of a load balancer's own health
checks (``PROXY UNKNOWN``), and connections whose header arrives in pieces. An invalid port number
causes a traceback for each connection.
"""

from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import (
    IAddress,
    IListeningPort,
    IProtocolFactory,
    IReactorTime,
    IStreamServerEndpoint,
)
from twisted.logger import Logger
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from zope.interface import implementer

from phpgw.log_limit import LogThrottle, line_limit
from phpgw.process.proxy_header import InvalidProxyHeader, ProxyHeader, parse_header


class ProxyProtocol(ProtocolWrapper):
    """A connection that starts with a PROXY header, and has the addresses of that header."""

    factory: "ProxyFactory"

    def __init__(self, factory: "ProxyFactory", wrappedProtocol: Any) -> None:  # noqa: N803
        super().__init__(factory, wrappedProtocol)
        self._header: ProxyHeader | None = None
        self._received = bytearray()

    def dataReceived(self, data: bytes) -> None:
        if self._header is not None:
            self.wrappedProtocol.dataReceived(data)
        elif not self.disconnecting:
            self._received += data
            self._parse()

    def _parse(self) -> None:
        try:
            self._header = parse_header(self._received)
        except InvalidProxyHeader:
            self._received.clear()
            self.factory.note_invalid_header()
            self.loseConnection()
            return
        if self._header is not None:
            rest = bytes(self._received[self._header.size :])
            self._received.clear()
            if rest:
                self.wrappedProtocol.dataReceived(rest)

    def getPeer(self) -> IAddress:  # noqa: N802
        """Return the source in the header, or else the peer of the connection."""
        address = self._header and self._header.source
        return address or self._transport.getPeer()

    def getHost(self) -> IAddress:  # noqa: N802
        """Return the destination in the header, or else the connection's own address."""
        address = self._header and self._header.destination
        return address or self._transport.getHost()

    @property
    def _transport(self) -> Any:
        assert self.transport is not None
        return self.transport


class ProxyFactory(WrappingFactory[ProxyProtocol]):
    """Wraps the protocols of connections that come through a proxy with the PROXY protocol."""

    log = Logger(observer=line_limit)
    protocol = ProxyProtocol
    noisy = False

    def __init__(self, wrapped: IProtocolFactory, clock: IReactorTime) -> None:
        super().__init__(wrapped)
        self._invalid_throttle = LogThrottle(clock.seconds)

    def note_invalid_header(self) -> None:
        """Log that connections without a valid header were closed, at a limited rate."""
        count = self._invalid_throttle.count()
        if count:
            self.log.warn(
                "Closed {count} connections that did not begin with a header of the PROXY protocol",
                count=count,
            )


@implementer(IStreamServerEndpoint)
@attrs.frozen
class ProxyEndpoint:
    """An endpoint where each connection starts with a PROXY header.

    :ivar below: the endpoint that accepts the connections.
    """

    below: IStreamServerEndpoint
    clock: IReactorTime

    def listen(self, protocolFactory: IProtocolFactory) -> Deferred[IListeningPort]:  # noqa: N803
        """Listen, and pass connections on to this factory once their header was read."""
        listening: Deferred[IListeningPort] = self.below.listen(
            ProxyFactory(protocolFactory, self.clock)
        )
        return listening
