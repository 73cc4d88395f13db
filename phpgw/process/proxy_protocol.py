"""The PROXY protocol: a load balancer says before each connection from where it comes.

By HAProxy's specification (proxy-protocol.txt), versions 1 and 2. Twisted has it too, but closes
what load balancers send for their own health checks (``PROXY UNKNOWN``), and headers that come in
pieces; and what is no number among the ports ends in a traceback for each connection.
"""

import re
import struct
from ipaddress import IPv4Address as IPAddressV4
from ipaddress import IPv6Address as IPAddressV6
from typing import Any

import attrs
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
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

_START_1 = b"PROXY "
_START_2 = b"\r\n\r\n\0\r\nQUIT\n"
# With its end.
_LONGEST_1 = 107
_LINE_END = b"\r\n"
_LINE = re.compile(
    rb"PROXY (TCP4|TCP6) ([0-9a-fA-F:.]{2,45}) ([0-9a-fA-F:.]{2,45}) ([0-9]{1,5}) ([0-9]{1,5})"
)
_UNKNOWN = re.compile(rb"PROXY UNKNOWN(?: [\x20-\x7e]*)?")
# Signature, version and command, family and protocol, how long the rest is.
_HEAD_2 = struct.Struct("!12sBBH")
_LOCAL, _PROXY = 0x20, 0x21
_IPV4, _IPV6, _UNIX = 0x10, 0x20, 0x30
_ADDRESSES = {
    _IPV4: struct.Struct("!4s4sHH"),
    _IPV6: struct.Struct("!16s16sHH"),
    _UNIX: struct.Struct("!108s108s"),
}


class InvalidProxyHeader(Exception):
    """Bytes that are no header of the PROXY protocol."""


@attrs.frozen
class ProxyHeader:
    """The addresses in a header.

    :ivar size: how many bytes it has.
    :ivar source: who has connected to the proxy; ``None`` if it does not say.
    :ivar destination: where to.
    """

    size: int
    source: IAddress | None = None
    destination: IAddress | None = None


def read_header(data: bytes | bytearray) -> ProxyHeader | None:
    """The header at the beginning of the data; ``None`` while it is not there as a whole.

    :raises InvalidProxyHeader: as soon as it can be none.
    """
    if data.startswith(_START_2):
        return _read_2(data)
    if data.startswith(_START_1):
        return _read_1(data)
    if data in (_START_1[: len(data)], _START_2[: len(data)]):
        return None
    raise InvalidProxyHeader


def _read_1(data: bytes | bytearray) -> ProxyHeader | None:
    end = data.find(_LINE_END, 0, _LONGEST_1)
    if end < 0:
        if len(data) >= _LONGEST_1:
            raise InvalidProxyHeader
        return None
    line, size = data[:end], end + len(_LINE_END)
    if _UNKNOWN.fullmatch(line):
        return ProxyHeader(size)
    match = _LINE.fullmatch(line)
    if match is None:
        raise InvalidProxyHeader
    family = _IPV4 if match[1] == b"TCP4" else _IPV6
    hosts, ports = match.group(2, 3), match.group(4, 5)
    source, destination = (
        _address(family, host.decode(), int(port)) for host, port in zip(hosts, ports, strict=True)
    )
    return ProxyHeader(size, source, destination)


def _read_2(data: bytes | bytearray) -> ProxyHeader | None:
    if len(data) < _HEAD_2.size:
        return None
    _, command, family_and_protocol, length = _HEAD_2.unpack_from(data)
    if command not in (_LOCAL, _PROXY):
        raise InvalidProxyHeader
    size = _HEAD_2.size + length
    if len(data) < size:
        return None
    family = family_and_protocol & 0xF0
    addresses = _ADDRESSES.get(family)
    if command == _LOCAL or addresses is None:
        return ProxyHeader(size)
    if length < addresses.size:
        raise InvalidProxyHeader
    fields = addresses.unpack_from(data, _HEAD_2.size)
    if family == _UNIX:
        return ProxyHeader(size, *(UNIXAddress(path.rstrip(b"\0")) for path in fields))
    source, destination, source_port, destination_port = fields
    return ProxyHeader(
        size,
        _address(family, source, source_port),
        _address(family, destination, destination_port),
    )


def _address(family: int, host: str | bytes, port: int) -> IAddress:
    try:
        if port > 0xFFFF:
            raise InvalidProxyHeader
        if family == _IPV4:
            return IPv4Address("TCP", str(IPAddressV4(host)), port)
        return IPv6Address("TCP", str(IPAddressV6(host)), port)
    except ValueError:
        raise InvalidProxyHeader from None


class ProxyProtocol(ProtocolWrapper):
    """A connection that begins with such a header, and is from where that says."""

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
            self._read()

    def _read(self) -> None:
        try:
            self._header = read_header(self._received)
        except InvalidProxyHeader:
            self._received.clear()
            self.factory.refused()
            self.loseConnection()
            return
        if self._header is not None:
            rest = bytes(self._received[self._header.size :])
            self._received.clear()
            if rest:
                self.wrappedProtocol.dataReceived(rest)

    def getPeer(self) -> IAddress:  # noqa: N802
        """Return the source that the header names."""
        said = self._header and self._header.source
        return said or self._transport.getPeer()

    def getHost(self) -> IAddress:  # noqa: N802
        """Return the destination that the header names."""
        said = self._header and self._header.destination
        return said or self._transport.getHost()

    @property
    def _transport(self) -> Any:
        assert self.transport is not None
        return self.transport


class ProxyFactory(WrappingFactory[ProxyProtocol]):
    """Wraps what serves connections that come through a proxy."""

    log = Logger(observer=line_limit)
    protocol = ProxyProtocol
    noisy = False

    def __init__(self, wrapped: IProtocolFactory, clock: IReactorTime) -> None:
        super().__init__(wrapped)
        self._refusals = LogThrottle(clock.seconds)

    def refused(self) -> None:
        """Note that a connection began with something else."""
        count = self._refusals.count()
        if count:
            self.log.warn(
                "Closed {count} connections that did not begin with a header of the PROXY protocol",
                count=count,
            )


@implementer(IStreamServerEndpoint)
@attrs.frozen
class ProxyEndpoint:
    """A port where each connection comes through a proxy that says so."""

    below: IStreamServerEndpoint
    clock: IReactorTime

    def listen(self, protocolFactory: IProtocolFactory) -> Deferred[IListeningPort]:  # noqa: N803
        """Listen, with what connections are served by."""
        listening: Deferred[IListeningPort] = self.below.listen(
            ProxyFactory(protocolFactory, self.clock)
        )
        return listening
