"""The number of connections that wait to be accepted, from the kernel by netlink (sock_diag(7))."""

import socket
import struct
from collections.abc import Iterator
from pathlib import Path

from phpgw.checks.addresses import Address, UnixPath

_TIMEOUT = 1.0
_NETLINK_SOCK_DIAG = 4
_SOCK_DIAG_BY_FAMILY = 20
_NLMSG_ERROR, _NLMSG_DONE = 2, 3
_NLM_F_REQUEST, _NLM_F_DUMP = 0x1, 0x300
# Name and queue of each socket; of the states, listening alone.
_UDIAG_SHOW_NAME, _UDIAG_SHOW_RQLEN = 0x1, 0x10
_UNIX_DIAG_NAME, _UNIX_DIAG_RQLEN = 0, 4
_LISTENING = 1 << 10
_NETLINK_HEADER = struct.Struct("=IHHII")
_UNIX_REQUEST = struct.Struct("=BBHIIIII")
_UNIX_MESSAGE = struct.Struct("=BBBBIII")
_ATTRIBUTE = struct.Struct("=HH")
_QUEUE = struct.Struct("=II")
_MAX_DATA = 1 << 20
_TCP_LISTEN = "0A"


class ListenQueueUnknown(Exception):
    """The queue is not known. The text says what it would take."""


def listen_queue(address: Address | None) -> int:
    """Return how many connections wait to be accepted at an address of this machine.

    :raises ListenQueueUnknown: if the kernel does not tell.
    """
    if isinstance(address, UnixPath):
        return _unix_queue(address.path)
    if address is None:
        raise ListenQueueUnknown("--php-fpm.")
    found = [*_tcp_queues(address.port)]
    if not found:
        raise ListenQueueUnknown("To run on the machine of PHP-FPM, and in its network.")
    return max(found)


def _unix_queue(path: str) -> int:
    request = _UNIX_REQUEST.pack(
        socket.AF_UNIX,
        0,
        0,
        _LISTENING,
        0,
        _UDIAG_SHOW_NAME | _UDIAG_SHOW_RQLEN,
        0xFFFFFFFF,
        ~0 & 0xFFFFFFFF,
    )
    size = _NETLINK_HEADER.size + len(request)
    flags = _NLM_F_REQUEST | _NLM_F_DUMP
    header = _NETLINK_HEADER.pack(size, _SOCK_DIAG_BY_FAMILY, flags, 1, 0)
    try:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_SOCK_DIAG) as netlink:
            netlink.settimeout(_TIMEOUT)
            netlink.send(header + request)
            for name, queue in _unix_sockets(netlink):
                if name == path:
                    return queue
    except OSError as error:
        raise ListenQueueUnknown(f"Netlink sockets ({error}).") from None
    raise ListenQueueUnknown(f"To be in the network namespace of {path}.")


def _unix_sockets(netlink: socket.socket) -> Iterator[tuple[str, int]]:
    """Yield path and queue of each listening UNIX socket."""
    while True:
        data = netlink.recv(_MAX_DATA)
        position = 0
        while position + _NETLINK_HEADER.size <= len(data):
            size, kind, *_ = _NETLINK_HEADER.unpack_from(data, position)
            if kind in (_NLMSG_DONE, _NLMSG_ERROR) or size < _NETLINK_HEADER.size:
                return
            start = position + _NETLINK_HEADER.size + _UNIX_MESSAGE.size
            yield _read_attributes(data[start : position + size])
            position += _aligned(size)


def _read_attributes(data: bytes) -> tuple[str, int]:
    name, queue = "", 0
    position = 0
    while position + _ATTRIBUTE.size <= len(data):
        size, kind = _ATTRIBUTE.unpack_from(data, position)
        if size < _ATTRIBUTE.size:
            break
        value = data[position + _ATTRIBUTE.size : position + size]
        if kind == _UNIX_DIAG_NAME:
            name = value.rstrip(b"\0").decode(errors="surrogateescape")
        elif kind == _UNIX_DIAG_RQLEN and len(value) >= _QUEUE.size:
            queue, _ = _QUEUE.unpack_from(value)
        position += _aligned(size)
    return name, queue


def _aligned(size: int) -> int:
    return size + 3 & ~3


def _tcp_queues(port: int) -> Iterator[int]:
    """Yield the queue of each socket that listens on a TCP port: proc(5), rx_queue."""
    for table in (Path("/proc/net/tcp"), Path("/proc/net/tcp6")):
        try:
            lines = table.read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            if fields[3] == _TCP_LISTEN and int(fields[1].rpartition(":")[2], 16) == port:
                yield int(fields[4].rpartition(":")[2], 16)
