"""Ports that the gateway does not open as usual."""

import ctypes
import json
import signal
import socket
import ssl
import sys
from pathlib import Path
from unittest import SkipTest

from twisted.internet.threads import deferToThread

from tests.support.certificate import Certificate, make_certificate
from tests.support.real.curl import CurlError, curl
from tests.support.real.gateway import Gateway
from tests.support.real.process import find, free_port
from tests.support.real.upstreams import ECHO, FastCgiTestCase, HttpTestCase
from tests.support.real.waiting import pause
from tests.support.real.websocket_client import Connection

_SECURE_ECHO = "<?php echo json_encode([$_POST['message'], $_SERVER['HTTPS'] ?? 'off']);"


class Activated(Gateway):
    """A gateway whose port systemd's own tool has opened."""

    name = "activated"

    def __init__(self, directory: Path, *arguments: str) -> None:
        super().__init__(directory, *arguments)
        tool = find(["systemd-socket-activate"], "systemd")
        command = ["--listen", "systemd:domain=INET:index=0", *arguments]
        here = Path(sys.executable).with_name("twistd")
        self._arguments = [
            tool,
            f"--listen=127.0.0.1:{self.port}",
            "--fdname=phpgw",
            "--setenv=PYTHONPATH",
            str(here),
            *("-n", "--pidfile=", "phpgw", *command),
        ]


_PR_GET_MDWE = 66
# prctl(2): PR_SET_MDWE and PR_MDWE_REFUSE_EXEC_GAIN, as systemd's MemoryDenyWriteExecute=.
_SEALED = (
    sys.executable,
    "-c",
    "import ctypes, os, sys; "
    "ctypes.CDLL(None).prctl(65, 1, 0, 0, 0); "
    "os.execv(sys.argv[1], sys.argv[1:])",
)


class Sealed(Gateway):
    """A gateway that may not make code while it runs."""

    def __init__(self, directory: Path, *arguments: str) -> None:
        super().__init__(directory, *arguments)
        self._arguments = [*_SEALED, *self._arguments]


class ListeningTests(HttpTestCase):
    async def test_socket_activation(self) -> None:
        """The port is systemd's; the first connection starts the gateway, and is served."""
        self.php = self.start_php({"websocket.php": ECHO})
        self.nginx = self.start_nginx()
        url = f"{self.nginx.url}/websocket.php"
        gateway = Activated(self.directory / "activated", "--php-url", url)
        self._started(gateway)
        client = await self.connect(gateway.ws_url)
        client.send("hello")
        self.assertEqual(await client.receive(), "hello")

    async def test_address_in_use(self) -> None:
        self.start(ECHO)
        listen = f"tcp:{self.gateway.port}:interface=127.0.0.1"
        ended = await Gateway.run("--php-url", "http://127.0.0.1/x.php", "--listen", listen)
        self.assertEqual(ended.status, 1)
        printed = ended.stdout + ended.stderr
        [line] = [line for line in printed.splitlines() if "--listen" in line]
        self.assertIn(f"--listen: cannot listen on '{listen}'", line)
        self.assertIn("in use", line)
        self.assertNotIn("Traceback", printed)


class TlsTests(FastCgiTestCase):
    """A port that speaks TLS."""

    def start_tls(self, script: str = _SECURE_ECHO, below: str | None = None) -> None:
        """Start all, with a port for TLS beside the usual one.

        :param below: what is below TLS, with PORT in it, if not the port as such.
        """
        self.certificate = make_certificate(self.directory)
        self.port = free_port()
        below = (below or "PORT:interface=127.0.0.1").replace("PORT", str(self.port))
        self.start(script, "--listen", f"ssl:{below}:{self.files()}")
        self.url = f"https://127.0.0.1:{self.port}"

    def files(self) -> str:
        return f"privateKey={self.certificate.key_path}:certKey={self.certificate.path}"

    async def open(self, trusted: Certificate | None = None) -> Connection:
        """A client that trusts this certificate, or the one which the gateway started with."""
        path = (trusted or self.certificate).path
        return await self.connect(f"wss://127.0.0.1:{self.port}/ws", certificate=path)

    async def assert_served(self, client: Connection) -> None:
        client.send("hello")
        self.assertEqual(["hello", "on"], json.loads(await client.receive()))

    async def logged(self, text: str, times: int = 1) -> None:
        """Wait for these words in the gateway's log."""
        while self.gateway.log.count(text) < times:
            await pause(0.02)

    def renew(self) -> Certificate:
        """Another certificate in the same place; returns a copy that stays."""
        directory = self.directory / "renewed"
        directory.mkdir()
        renewed = make_certificate(directory)
        for old, new in zip(self.certificate, renewed, strict=True):
            old.write_bytes(new.read_bytes())
        return renewed

    async def test_messages(self) -> None:
        """Of any size; PHP knows that the browser's connection is a secure one."""
        self.start_tls()
        client = await self.open()
        await self.assert_served(client)
        large = "x" * 500_000
        client.send(large)
        self.assertEqual([large, "on"], json.loads(await client.receive()))
        push = f"message=pushed&client_id=127.0.0.1:{client.local_port}"
        trust = ("--cacert", str(self.certificate.path))
        self.assertEqual("Message sent", await curl(*trust, "-d", push, f"{self.url}/send"))
        self.assertEqual("pushed", await client.receive())

    async def test_sealed_memory(self) -> None:
        """TLS asks for no memory that could be written to and executed."""
        if ctypes.CDLL(None).prctl(_PR_GET_MDWE, 0, 0, 0, 0) < 0:
            raise SkipTest("Linux before 6.3 cannot deny it to a process")
        self.certificate, self.port = make_certificate(self.directory), free_port()
        listen = f"ssl:{self.port}:interface=127.0.0.1:{self.files()}"
        options = ("--php-url", "http://127.0.0.1:1/", "--listen", listen)
        self.gateway = self._started(Sealed(self.directory / "gateway", *options))
        client = await self.open()
        self.assertEqual(1000, (await client.close()).code)

    async def test_old_protocols(self) -> None:
        """TLS 1.2 and 1.3 are spoken, and nothing before."""
        self.start_tls()
        trust = ("--cacert", str(self.certificate.path), "--ciphers", "DEFAULT@SECLEVEL=0")
        for version in ("1.2", "1.3"):
            options = (f"--tlsv{version}", "--tls-max", version)
            self.assertEqual("ok\n", await curl(*trust, *options, f"{self.url}/healthz"))
        for version in ("1.0", "1.1"):
            options = (f"--tlsv{version}", "--tls-max", version)
            await self.assertFailure(curl(*trust, *options, f"{self.url}/healthz"), CurlError)

    async def test_reload(self) -> None:
        """SIGHUP: the old connection goes on, a new one gets the new certificate."""
        self.start_tls()
        old = await self.open()
        renewed = self.renew()
        self.gateway.signal(signal.SIGHUP)
        await self.logged("has the certificate in", 2)
        new = await self.open(renewed)
        for client in (old, new):
            await self.assert_served(client)

    async def test_reload_of_a_bad_file(self) -> None:
        """An error in the log; all goes on with what there is, until the file is right."""
        self.start_tls()
        old = await self.open()
        good = self.certificate.key_path.read_bytes()
        self.certificate.key_path.write_text("nonsense")
        self.gateway.signal(signal.SIGHUP)
        await self.logged(f"{self.certificate.key_path}: no private key in PEM")
        for client in (old, await self.open()):
            await self.assert_served(client)
        self.certificate.key_path.write_bytes(good)
        self.gateway.signal(signal.SIGHUP)
        await self.logged("has the certificate in", 2)
        self.assertNotIn("Traceback", self.gateway.log)

    async def test_bad_files_at_start(self) -> None:
        """One line with the file and the reason, and status 1."""
        self.certificate = make_certificate(self.directory)
        nowhere = self.directory / "nowhere.pem"
        for files, reason in (
            (f"privateKey={nowhere}", f"{nowhere}: No such file or directory"),
            (f"privateKey={self.certificate.path}", "no private key in PEM"),
            (f"certKey={self.certificate.path}", "privateKey=FILE is missing"),
        ):
            listen = f"ssl:{free_port()}:{files}"
            ended = await Gateway.run("--php-url", "http://127.0.0.1/x.php", "--listen", listen)
            self.assertEqual(1, ended.status)
            [line] = (ended.stdout + ended.stderr).splitlines()
            self.assertIn(f"--listen: got '{listen}'", line)
            self.assertIn(reason, line)

    async def test_proxy_protocol(self) -> None:
        """A proxy that passes TLS through says first whom it comes from."""
        self.start_tls(below="haproxy:tcp:PORT:interface=127.0.0.1")

        def ask() -> bytes:
            context = ssl.create_default_context(cafile=self.certificate.path)
            with socket.create_connection(("127.0.0.1", self.port), timeout=10) as plain:
                plain.sendall(b"PROXY TCP4 203.0.113.7 192.0.2.80 5000 443\r\n")
                with context.wrap_socket(plain, server_hostname="localhost") as secure:
                    secure.sendall(
                        b"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
                        b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
                    )
                    return secure.recv(1000)

        self.assertIn(b" 101 ", await deferToThread(ask))
        self.assertIn("Client 203.0.113.7:5000 connected", self.gateway.log)
