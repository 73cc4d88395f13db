"""PHP-FPM alone: one FastCGI request, made once, sent again and again over kept connections.

What it costs to make requests and to read replies is left out: nothing that speaks FastCGI to this
PHP-FPM can be faster. ``python -m benchmarks.fastcgi JOB``, as for :mod:`benchmarks.load`.
"""

import select
import socket
import struct
import time

from benchmarks.dialogue import run, say

_BEGIN, _END, _PARAMS, _STDIN = 1, 3, 4, 5
# Version, type, request id 1, length, padding, reserved.
_HEADER = struct.Struct("!BBHHBB")
_RESPONDER_KEPT = struct.pack("!HB5x", 1, 1)
_PATIENCE = 10.0


def make_request(script: str, body: bytes) -> bytes:
    """A whole POST, on a connection that is kept (FastCGI specification, section 3)."""
    params = {
        "GATEWAY_INTERFACE": "CGI/1.1",
        "REQUEST_METHOD": "POST",
        "SCRIPT_FILENAME": script,
        "CONTENT_TYPE": "application/x-www-form-urlencoded",
        "CONTENT_LENGTH": str(len(body)),
    }
    pairs = b"".join(
        struct.pack("!BI", len(name), len(value) | 1 << 31) + name.encode() + value.encode()
        for name, value in params.items()
    )
    records = (
        (_BEGIN, _RESPONDER_KEPT),
        *((_PARAMS, pairs), (_PARAMS, b"")),
        *((_STDIN, body), (_STDIN, b"")),
    )
    return b"".join(_HEADER.pack(1, kind, 1, len(data), 0, 0) + data for kind, data in records)


def ends(data: bytes) -> bool:
    """Whether these bytes, from the start of a reply on, hold all of it."""
    at = 0
    while at + _HEADER.size <= len(data):
        _, kind, _, length, padding, _ = _HEADER.unpack_from(data, at)
        at += _HEADER.size + length + padding
        if kind == _END:
            return at <= len(data)
    return False


async def roundtrip(path: str, script: str, body: str, connections: int, seconds: float) -> None:
    """A closed loop on each connection."""
    request = make_request(script, body.encode())
    sockets = {}
    poll = select.epoll()
    for _ in range(connections):
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(path)
        poll.register(connection, select.EPOLLIN)
        sockets[connection.fileno()] = connection
    replies = dict.fromkeys(sockets, b"")
    sent = {}
    for number, connection in sockets.items():
        sent[number] = time.perf_counter()
        connection.send(request)
    latencies: list[float] = []
    say("begin")
    began = time.perf_counter()
    while time.perf_counter() < began + seconds:
        ready = poll.poll(_PATIENCE)
        if not ready:
            raise TimeoutError("PHP-FPM does not answer")
        for number, _ in ready:
            data = sockets[number].recv(65536)
            if not data:
                raise EOFError("PHP-FPM has closed the connection")
            replies[number] += data
            if ends(replies[number]):
                now = time.perf_counter()
                latencies.append(now - sent[number])
                if body.encode().rpartition(b"=")[2] not in replies[number]:
                    raise ValueError(f"not an echo: {replies[number]!r}")
                replies[number] = b""
                sent[number] = now
                sockets[number].send(request)
    took = time.perf_counter() - began
    latencies.sort()
    say(
        "end",
        seconds=took,
        messages=len(latencies),
        p50=latencies[len(latencies) // 2] * 1000,
        p99=latencies[len(latencies) * 99 // 100] * 1000,
    )


if __name__ == "__main__":
    run({"roundtrip": roundtrip})
