"""The header of the PROXY protocol, versions 1 and 2 (HAProxy's proxy-protocol.txt)."""

import re
import struct
from ipaddress import IPv4Address as IPAddressV4
from ipaddress import IPv6Address as IPAddressV6

import attrs
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.interfaces import IAddress

_PREFIX_V1 = b"PROXY "
_SIGNATURE_V2 = b"\r\n\r\n\0\r\nQUIT\n"
# Including the end of the line.
_MAX_SIZE_V1 = 107
_LINE_END = b"\r\n"
_LINE_V1 = re.compile(
    rb"PROXY (TCP4|TCP6) ([0-9a-fA-F:.]{2,45}) ([0-9a-fA-F:.]{2,45}) ([0-9]{1,5}) ([0-9]{1,5})"
)
_UNKNOWN_V1 = re.compile(rb"PROXY UNKNOWN(?: [\x20-\x7e]*)?")
# Signature, version and command, family and protocol, length of the rest.
_FIXED_PART_V2 = struct.Struct("!12sBBH")
_LOCAL, _PROXY = 0x20, 0x21
_IPV4, _IPV6, _UNIX = 0x10, 0x20, 0x30
_ADDRESSES = {
    _IPV4: struct.Struct("!4s4sHH"),
    _IPV6: struct.Struct("!16s16sHH"),
    _UNIX: struct.Struct("!108s108s"),
}


class InvalidProxyHeader(Exception):
    """The bytes are not a header of the PROXY protocol."""


@attrs.frozen
class ProxyHeader:
    """A parsed header.

    :ivar size: its size in bytes.
    :ivar source: the address that connected to the proxy; ``None`` if the header does not tell.
    :ivar destination: the address that it connected to.
    """

    size: int
    source: IAddress | None = None
    destination: IAddress | None = None


def parse_header(data: bytes | bytearray) -> ProxyHeader | None:
    """Parse the header at the start of the data; return ``None`` while it is incomplete.

    :raises InvalidProxyHeader: as soon as the data cannot be a header.
    """
    if data.startswith(_SIGNATURE_V2):
        return _parse_v2(data)
    if data.startswith(_PREFIX_V1):
        return _parse_v1(data)
    if data in (_PREFIX_V1[: len(data)], _SIGNATURE_V2[: len(data)]):
        return None
    raise InvalidProxyHeader


def _parse_v1(data: bytes | bytearray) -> ProxyHeader | None:
    end = data.find(_LINE_END, 0, _MAX_SIZE_V1)
    if end < 0:
        if len(data) >= _MAX_SIZE_V1:
            raise InvalidProxyHeader
        return None
    line, size = data[:end], end + len(_LINE_END)
    if _UNKNOWN_V1.fullmatch(line):
        return ProxyHeader(size)
    match = _LINE_V1.fullmatch(line)
    if match is None:
        raise InvalidProxyHeader
    family = _IPV4 if match[1] == b"TCP4" else _IPV6
    hosts, ports = match.group(2, 3), match.group(4, 5)
    source, destination = (
        _parse_address(family, host.decode(), int(port))
        for host, port in zip(hosts, ports, strict=True)
    )
    return ProxyHeader(size, source, destination)


def _parse_v2(data: bytes | bytearray) -> ProxyHeader | None:
    if len(data) < _FIXED_PART_V2.size:
        return None
    _, command, family_and_protocol, length = _FIXED_PART_V2.unpack_from(data)
    if command not in (_LOCAL, _PROXY):
        raise InvalidProxyHeader
    size = _FIXED_PART_V2.size + length
    if len(data) < size:
        return None
    family = family_and_protocol & 0xF0
    addresses = _ADDRESSES.get(family)
    if command == _LOCAL or addresses is None:
        return ProxyHeader(size)
    if length < addresses.size:
        raise InvalidProxyHeader
    fields = addresses.unpack_from(data, _FIXED_PART_V2.size)
    if family == _UNIX:
        return ProxyHeader(size, *(UNIXAddress(path.rstrip(b"\0")) for path in fields))
    source, destination, source_port, destination_port = fields
    return ProxyHeader(
        size,
        _parse_address(family, source, source_port),
        _parse_address(family, destination, destination_port),
    )


def _parse_address(family: int, host: str | bytes, port: int) -> IAddress:
    try:
        if port > 0xFFFF:
            raise InvalidProxyHeader
        if family == _IPV4:
            return IPv4Address("TCP", str(IPAddressV4(host)), port)
        return IPv6Address("TCP", str(IPAddressV6(host)), port)
    except ValueError:
        raise InvalidProxyHeader from None
