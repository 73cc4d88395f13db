"""Peers that do but a part of what they should, in each state of a WebSocket connection."""

import socket
import ssl
import struct
from typing import Any

from tests.support.certificate import make_certificate
from tests.support.in_memory_browser import BINARY, CLOSE, PING, TEXT, frame, request
from tests.support.real.flood import Flood
from tests.support.real.measured_gateway import MeasuredGateway
from tests.support.real.process import free_port
from tests.support.real.raw_client import RawClient
from tests.support.real.upstreams import FastCgiTestCase
from tests.support.real.waiting import pause, until

_MB = 1024 * 1024
_SCRIPT = """<?php
if ($_POST['type'] === 'connect') {
    file_put_contents(__DIR__ . '/record', "connect\\n", FILE_APPEND | LOCK_EX);
    if (isset($_GET['slow'])) { usleep(500000); }
} elseif ($_POST['type'] === 'disconnect') {
    file_put_contents(__DIR__ . '/record', "disconnect\\n", FILE_APPEND | LOCK_EX);
} elseif ($_POST['message'] === 'close') {
    header('Content-Type: application/vnd.phpgw+json');
    echo '[{"op": "close", "code": 4001}]';
} else {
    echo $_POST['message'];
}
"""


class BadPeerTests(FastCgiTestCase):
    gateway: MeasuredGateway

    def start_gateway(self, *arguments: str, **options: Any) -> MeasuredGateway:
        return self._started(MeasuredGateway(self._directory_for("gateway"), *arguments, **options))

    def begin(self) -> None:
        certificate = make_certificate(self.directory)
        self.tls, self.proxied = free_port(), free_port()
        files = f"privateKey={certificate.key_path}:certKey={certificate.path}"
        self.start(
            _SCRIPT,
            *("--events", "connect,disconnect", "--php-concurrency", "8"),
            *("--ping-interval", "2s", "--ping-timeout", "1s", "--message-timeout", "2s"),
            *("--listen", f"ssl:{self.tls}:interface=127.0.0.1:{files}"),
            *("--listen", f"haproxy:tcp:{self.proxied}:interface=127.0.0.1"),
            php={"workers": 8},
        )
        self.context = ssl.create_default_context(cafile=str(certificate.path))
        self.number = 0

    def over_tcp(self) -> RawClient:
        return RawClient(self.gateway.port)

    def over_tls(self) -> RawClient:
        client = RawClient(self.tls)
        client.socket = self.context.wrap_socket(client.socket, server_hostname="localhost")
        return client

    def over_proxy(self) -> RawClient:
        self.number += 1
        return RawClient(self.proxied).send(b"PROXY TCP4 10.0.0.7 10.0.0.1 %d 2\r\n" % self.number)

    def in_each_state(self) -> dict[str, RawClient]:
        """One connection in each state, by each way."""
        clients = {}
        for connect in (self.over_tcp, self.over_tls, self.over_proxy):
            way = connect.__name__
            clients[f"pending {way}"] = connect().send(request("/ws?slow", Host="localhost"))
            clients[f"open {way}"] = connect().upgrade(request(Host="localhost"))
            clients[f"closing {way}"] = (
                connect().upgrade(request(Host="localhost")).send(frame(TEXT, b"close"))
            )
            clients[f"closed {way}"] = (
                connect().upgrade(request(Host="localhost")).send(frame(CLOSE))
            )
        return clients

    async def all_are_gone(self) -> bool:
        """Whether nothing of any of them is left, and PHP knows of each end."""
        stats = await self.stats()
        left = {name for name, number in stats.items() if number and name.endswith("_now")}
        lines = self.recorded()
        return not left and lines.count("connect") == lines.count("disconnect")

    async def test_sends_and_never_reads(self) -> None:
        """It is read from no more in the end, or dropped, and takes little memory meanwhile."""
        self.begin()
        before = self.gateway.resident
        floods, clients = [], []
        for data in (frame(TEXT, b"x" * 1000), frame(BINARY, bytes(60_000)), frame(PING, b"x")):
            for name, client in self.in_each_state().items():
                clients.append(client)
                floods.append(Flood(name, client, data))
        for _ in range(30):
            for flood in floods:
                flood.go_on()
            await pause(0.1)
        self.assertLess(self.gateway.resident - before, 60 * _MB)
        for client in clients:
            client.socket.close()
        await until(self.all_are_gone)

    async def test_sends_no_more(self) -> None:
        """It reads, and has sent nothing, or part of a frame.

        It is found out by a ping, or since it leaves a close frame without an answer.
        """
        self.begin()
        clients = {}
        for part in (0, 1, 2, 5, 500):
            for name, client in self.in_each_state().items():
                clients[f"{name}, {part}"] = client.send(frame(TEXT, b"x" * 600)[:part])
        await until(self.all_are_gone)
        for name, client in clients.items():
            client.socket.settimeout(5)
            try:
                client.rest()
            except TimeoutError:
                self.fail(f"{name}: still there")
            except ssl.SSLError:
                # It was ended without a word.
                pass
            client.socket.close()

    async def test_resets(self) -> None:
        self.begin()
        for data in (b"", frame(TEXT, b"x" * 600)[:300], frame(TEXT, b"x") * 50):
            for client in self.in_each_state().values():
                client.send(data)
                client.socket.setsockopt(
                    socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
                )
                client.socket.close()
            await until(self.all_are_gone)
