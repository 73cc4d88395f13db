"""Who sends and never reads is read from no more, in whatever state; and costs no memory."""

import contextlib
import ssl
from collections.abc import Callable
from typing import Any

from tests.support.certificate import make_certificate
from tests.support.in_memory_browser import request
from tests.support.real.flood import ON_THE_WAY, Flood
from tests.support.real.measured_gateway import MeasuredGateway
from tests.support.real.process import free_port
from tests.support.real.raw_client import RawClient
from tests.support.real.upstreams import FastCgiTestCase

_MB = 1024 * 1024
_SCRIPT = """<?php
if ($_POST['type'] === 'connect') { sleep(3); }
"""


def get(path: bytes, host: bytes = b"localhost", more: bytes = b"") -> bytes:
    return b"GET %b HTTP/1.1\r\nHost: %b\r\n%b\r\n" % (path, host, more)


class NeverReadsTests(FastCgiTestCase):
    gateway: MeasuredGateway

    def start_gateway(self, *arguments: str, **options: Any) -> MeasuredGateway:
        return self._started(MeasuredGateway(self._directory_for("gateway"), *arguments, **options))

    async def test_each_state(self) -> None:
        certificate = make_certificate(self.directory)
        tls, proxied = free_port(), free_port()
        files = f"privateKey={certificate.key_path}:certKey={certificate.path}"
        self.start(
            _SCRIPT,
            *("--events", "connect", "--max-push-size", "1K"),
            *("--listen", f"ssl:{tls}:interface=127.0.0.1:{files}"),
            *("--listen", f"haproxy:tcp:{proxied}:interface=127.0.0.1"),
        )
        context = ssl.create_default_context(cafile=str(certificate.path))
        plain = self.gateway.port

        def over_tls() -> RawClient:
            client = RawClient(tls)
            client.socket = context.wrap_socket(client.socket, server_hostname="localhost")
            return client

        def over_proxy() -> RawClient:
            return RawClient(proxied).send(b"PROXY TCP4 203.0.113.7 192.0.2.1 1 2\r\n")

        def with_first(data: bytes, connect: Callable[[], RawClient]) -> Callable[[], RawClient]:
            return lambda: connect().send(data)

        def over_tcp() -> RawClient:
            return RawClient(plain)

        push = (
            b"POST /send HTTP/1.1\r\nHost: localhost\r\nContent-Length: 21\r\nContent-Type: "
            b"application/x-www-form-urlencoded\r\n\r\nmessage=a&client_id=b"
        )
        ways = {"TCP": over_tcp, "TLS": over_tls, "PROXY": over_proxy}
        kept = {
            "health": get(b"/healthz"),
            "front page": get(b"/"),
            "nothing": get(b"/nothing"),
            "API": get(b"/stats"),
            "denied": get(b"/stats", b"a.example"),
            "pushes": push,
            "no handshakes": request(Sec_WebSocket_Key="x"),
        }
        cases: dict[str, tuple[Callable[[], RawClient], bytes]] = {
            **{
                f"{what} over {name}": (connect, data)
                for what, data in kept.items()
                for name, connect in ways.items()
                if name == "TCP" or what in ("health", "API")
            },
            **{
                f"{what} refused over {name}": (with_first(first, connect), get(b"/"))
                for what, first in {
                    "no HTTP": b"X\r\n\r\n",
                    "too large": b"GET /" + b"a" * 20_000,
                    "the last": get(b"/", more=b"Connection: close\r\n"),
                }.items()
                for name, connect in ways.items()
            },
            **{
                f"while PHP is asked over {name}": (with_first(request(), connect), b"x" * 1000)
                for name, connect in ways.items()
            },
        }
        before = self.gateway.resident
        with contextlib.ExitStack() as stack:
            floods = [
                Flood(name, stack.enter_context(connect()), data)
                for name, (connect, data) in cases.items()
            ]
            going_on = floods
            while going_on := [flood for flood in going_on if flood.go_on()]:
                # Others are answered meanwhile.
                with RawClient(plain) as other:
                    self.assertEqual(200, other.status(get(b"/healthz")))
            for flood in floods:
                self.assertLess(flood.accepted, ON_THE_WAY, flood.name)
            self.assertLess(self.gateway.resident - before, 40 * _MB)
