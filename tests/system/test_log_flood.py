"""What strangers do again and again does not fill the log of a real gateway."""

import contextlib
import socket
import ssl
import struct
from collections import Counter
from collections.abc import Callable

from tests.support.certificate import make_certificate
from tests.support.in_memory_browser import TEXT, frame, request
from tests.support.real.process import free_port
from tests.support.real.raw_client import RawClient
from tests.support.real.upstreams import FastCgiTestCase

_TIMES = 120
# Each kind of line may come so often at once, and is summed up after that.
_MOST = 50
_SCRIPT = """<?php
if ($_POST['type'] === 'connect' && isset($_GET['no'])) { http_response_code(403); }
elseif ($_POST['type'] === 'server') {
    error_log('one'); error_log('two'); setcookie('a'); http_response_code(500);
}
"""


class LogFloodTests(FastCgiTestCase):
    async def test_strangers(self) -> None:
        certificate = make_certificate(self.directory)
        self.tls, self.proxied = free_port(), free_port()
        files = f"privateKey={certificate.key_path}:certKey={certificate.path}"
        self.start(
            _SCRIPT,
            *("--events", "connect", "--on-error", "close", "--handshake-timeout", "1s"),
            *("--listen", f"ssl:{self.tls}:interface=127.0.0.1:{files}"),
            *("--listen", f"haproxy:tcp:{self.proxied}:interface=127.0.0.1"),
        )
        port = self.gateway.port
        push = b"POST /send HTTP/1.1\r\nHost: a.example\r\nContent-Length: 0\r\n\r\n"
        stranger = b"PROXY TCP4 203.0.113.7 192.0.2.1 1 2\r\n"
        handshake = request()
        context = ssl.create_default_context(cafile=str(certificate.path))
        floods: dict[str, Callable[[], object]] = {
            "denied": lambda: self.exchange(port, push),
            "denied over a proxy": lambda: self.exchange(self.proxied, stranger + push),
            "no HTTP": lambda: self.exchange(port, b"X\r\n\r\n"),
            "too large": lambda: self.exchange(port, b"GET /" + b"a" * 20_000),
            "other methods": lambda: self.exchange(port, push.replace(b"POST", b"FOO")),
            "HEAD": lambda: self.exchange(port, push.replace(b"POST /send", b"HEAD /")),
            "no PROXY header": lambda: self.exchange(self.proxied, b"PROXY TCP4 a b c d\r\n"),
            "no TLS": lambda: self.exchange(self.tls, push),
            "broken TLS": lambda: self.broken_tls(context),
            "no handshake": lambda: self.exchange(port, request(Sec_WebSocket_Key="x")),
            "refused by PHP": lambda: self.exchange(port, request(path="/ws?no")),
            "let in": lambda: self.exchange(port, handshake),
            "bad frames": lambda: self.exchange(port, handshake, b"\xff\xff\xff"),
            "failures of PHP": lambda: self.exchange(port, handshake, frame(TEXT, b"x")),
        }
        for flood in floods.values():
            for _ in range(_TIMES):
                flood()
        # Two kinds are slow, since somebody has to wait.
        silent = [RawClient(port).send(b"GET ") for _ in range(_TIMES)]
        for client in silent:
            client.rest()
            client.socket.close()
        lines = self.gateway.log.splitlines()
        # Time, level, logger.
        kinds = Counter(line.split()[2] for line in lines)
        for kind, count in kinds.items():
            # A room may have a few kinds of lines.
            self.assertLessEqual(count, 4 * _MOST, kind)
        self.assertLess(len(lines), len(floods) * _TIMES)
        self.assertNotIn("Traceback", self.gateway.log)
        self.gateway.stop()
        self.assertIn("more lines like this", self.gateway.log)

    def exchange(self, port: int, *parts: bytes) -> None:
        """Connect, send, see an answer to the first part, and reset the connection."""
        with RawClient(port) as client, contextlib.suppress(OSError):
            client.socket.settimeout(5)
            for part in parts:
                client.send(part).socket.recv(1000)
            linger = struct.pack("ii", 1, 0)
            client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)

    def broken_tls(self, context: ssl.SSLContext) -> None:
        """Send a record that is none, behind a handshake that was in order."""
        with RawClient(self.tls) as client, contextlib.suppress(OSError):
            raw = client.socket.dup()
            client.socket = context.wrap_socket(client.socket, server_hostname="localhost")
            client.upgrade(request())
            raw.sendall(b"\x17\x03\x03\x00\x20" + b"a" * 32)
            raw.recv(1000)
            raw.close()
