"""What clients have occupied is free as soon as they have left, not when a collector looks."""

import os
import socket
import ssl
import struct
from collections.abc import Awaitable, Callable
from typing import Any

from twisted.internet.threads import deferToThread

from tests.support.certificate import make_certificate
from tests.support.in_memory_browser import BINARY, frame, request
from tests.support.real.gateway import ROOT, Gateway
from tests.support.real.process import free_port
from tests.support.real.process_usage import resident
from tests.support.real.raw_client import RawClient
from tests.support.real.upstreams import ECHO, FastCgiTestCase
from tests.support.real.waiting import until

_NO_COLLECTOR = ROOT / "tests" / "support" / "real" / "no_garbage_collector"
_MB = 1024 * 1024
_CLIENTS, _ROUNDS = 20, 5


class FreedTests(FastCgiTestCase):
    def start_gateway(self, *arguments: str, **options: Any) -> Gateway:
        env = {"PYTHONPATH": os.pathsep.join(map(str, (_NO_COLLECTOR, ROOT)))}
        return super().start_gateway(*arguments, env=env, **options)

    def begin(self) -> None:
        certificate = make_certificate(self.directory)
        self.tls = free_port()
        files = f"privateKey={certificate.key_path}:certKey={certificate.path}"
        self.start(
            ECHO,
            *("--events", "disconnect", "--max-outbox", "8M"),
            *("--listen", f"ssl:{self.tls}:interface=127.0.0.1:{files}"),
        )
        self.context = ssl.create_default_context(cafile=str(certificate.path))

    def over_tcp(self) -> RawClient:
        return RawClient(self.gateway.port)

    def over_tls(self) -> RawClient:
        client = RawClient(self.tls)
        client.socket = self.context.wrap_socket(client.socket, server_hostname="localhost")
        return client

    async def test_slow_readers(self) -> None:
        self.begin()
        for connect in (self.over_tcp, self.over_tls):
            grown = await self.grown_by(connect, self.push)
            self.assertLess(grown, _CLIENTS * 4 * _MB, connect.__name__)

    async def test_unfinished_messages(self) -> None:
        self.begin()
        part = frame(BINARY, bytes(_MB))[:-1]
        for connect in (self.over_tcp, self.over_tls):

            async def send(clients: list[RawClient]) -> None:
                for client in clients:
                    await deferToThread(client.send, part)

            grown = await self.grown_by(connect, send)
            # As much again for what the allocator keeps.
            self.assertLess(grown, _CLIENTS * 2 * _MB, connect.__name__)

    async def push(self, clients: list[RawClient]) -> None:
        body = b"all=1&message=" + b"x" * (_MB // 2)
        head = (
            b"POST /send HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: %d\r\n"
            b"Content-Type: application/x-www-form-urlencoded\r\n\r\n" % len(body)
        )
        for _ in range(12):
            with self.over_tcp() as pusher:
                self.assertEqual(200, await deferToThread(pusher.status, head + body))

    async def grown_by(
        self, connect: Callable[[], RawClient], do: Callable[[list[RawClient]], Awaitable[None]]
    ) -> int:
        """By how many bytes the gateway grows after the first of some rounds."""
        sizes = []
        for _ in range(_ROUNDS):
            clients = [connect() for _ in range(_CLIENTS)]
            for client in clients:
                await deferToThread(client.upgrade, request(Host="localhost"))
            await do(clients)
            for client in clients:
                client.socket.setsockopt(
                    socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
                )
                client.socket.close()
            await until(self.all_are_gone)
            sizes.append(resident(self.gateway.pid))
        return sizes[-1] - sizes[0]

    async def all_are_gone(self) -> bool:
        stats = await self.stats()
        return not stats["clients_now"] and not stats["unfinished_bytes_now"]
