"""The pools' process and the pools for any protocol, with real gateways and PHP's own streams."""

import contextlib
import os
import signal
import socket
import ssl
import threading
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread

from tests.support.certificate import make_certificate
from tests.support.real.command import run
from tests.support.real.gateway import Gateway
from tests.support.real.process import find, free_port
from tests.support.real.process_table import children
from tests.support.real.system_test_case import SystemTestCase


class LineServer:
    """A server that answers each line with its number, the connection's, and the line.

    :ivar accepted: how many connections there were.
    :ivar is_asked: set once a line was "slow", which takes a second.
    :ivar open: those that are open.
    """

    def __init__(self, greeting: bytes = b"", context: ssl.SSLContext | None = None) -> None:
        self.accepted = 0
        self.is_asked = threading.Event()
        self.open: set[socket.socket] = set()
        self._greeting = greeting
        self._context = context
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                plain, _ = self._listening.accept()
                self.accepted += 1
                arguments = (plain, self.accepted)
                threading.Thread(target=self._serve, args=arguments, daemon=True).start()

    def _serve(self, plain: socket.socket, number: int) -> None:
        with contextlib.suppress(OSError):
            connection = plain
            if self._context is not None:
                connection = self._context.wrap_socket(plain, server_side=True)
            self.open.add(connection)
            try:
                connection.sendall(self._greeting)
                with connection.makefile("rb") as lines:
                    for line in lines:
                        if line == b"large\n":
                            connection.sendall(b"x" * 5_000_000 + b"\n")
                        elif line == b"slow\n":
                            self.is_asked.set()
                            time.sleep(1)
                        connection.sendall(b"%d %b" % (number, line))
            finally:
                self.open.discard(connection)
                connection.close()

    def close(self) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for each in [*self.open]:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)


class PoolsTestCase(SystemTestCase):
    def serve(self, **options: Any) -> LineServer:
        server = LineServer(**options)
        self.addCleanup(server.close)
        return server

    def start_pools(self, *pools: str, options: tuple[str, ...] = ()) -> Gateway:
        given = [word for pool in pools for word in ("--pool", pool)]
        sockets = self.directory / "sockets"
        return self.start_gateway(
            *("--php-url", "http://127.0.0.1:9/", "--pool-directory"),
            *(str(sockets), *given, *options),
        )

    @property
    def socket(self) -> Path:
        return self.directory / "sockets" / "lines.sock"

    async def php(self, source: str) -> str:
        command = [find(["php"], "php-cli"), "-d", "display_errors=stderr", "-r", source]
        ended = await run(command)
        self.assertEqual((0, ""), (ended.status, ended.stderr))
        return ended.stdout

    async def ask(self, text: str = "hello", where: str = "") -> str:
        """Return what the server answers to a line of PHP."""
        return await self.php(
            f"$s = stream_socket_client('{where or f'unix://{self.socket}'}', $n, $e, 5);"
            f'stream_set_timeout($s, 10); fwrite($s, "{text}\\n"); echo fgets($s);'
        )

    def figures(self, gateway: Gateway, path: str = "metrics") -> Any:
        with urllib.request.urlopen(f"http://127.0.0.1:{gateway.port}/{path}", timeout=5) as body:
            text: str = body.read().decode()
        return text

    def number(self, gateway: Gateway, name: str) -> float:
        """Return the value of a sample in the metrics."""
        for line in self.figures(gateway).splitlines():
            if line.startswith(f"{name} "):
                return float(line.split()[-1])
        raise AssertionError(name)

    async def until(self, condition: Callable[[], bool], what: str, seconds: float = 15) -> None:
        def wait() -> None:
            end = time.monotonic() + seconds
            while not condition():
                assert time.monotonic() < end, f"{what} has not come"
                time.sleep(0.05)

        await deferToThread(wait)

    def pools_pid(self, gateway: Gateway) -> int:
        for pid in children(gateway.pid):
            if b"phpgw.pools.main" in Path(f"/proc/{pid}/cmdline").read_bytes():
                return pid
        raise AssertionError("no process of the pools")


class TcpTests(PoolsTestCase):
    async def test_unix(self) -> None:
        """PHP gets a connection that was opened before it came, and each only once."""
        server = self.serve()
        self.start_pools(f"lines=tcp://127.0.0.1:{server.port}?size=3")
        await self.until(lambda: server.accepted == 3, "the third connection")
        answers = {await self.ask() for _ in range(4)}
        self.assertEqual(4, len(answers))
        self.assertTrue(all(answer.endswith(" hello\n") for answer in answers))

    async def test_port(self) -> None:
        """fsockopen() reaches a pool on a port of this machine."""
        server, port = self.serve(), free_port()
        self.start_pools(f"lines=tcp://localhost:{server.port}?listen=127.0.0.1:{port}")
        printed = await self.php(
            f"$s = fsockopen('127.0.0.1', {port}); fwrite($s, \"a\\n\"); echo fgets($s);"
        )
        self.assertRegex(printed, r"^\d a\n$")

    async def test_server_speaks_first(self) -> None:
        """What a server sends first is kept for PHP."""
        server = self.serve(greeting=b"220 ready\r\n")
        self.start_pools(f"lines=tcp://127.0.0.1:{server.port}?size=2")
        await self.until(lambda: server.accepted == 2, "the second connection")
        printed = await self.php(
            f"$s = stream_socket_client('unix://{self.socket}'); echo fgets($s);"
        )
        self.assertEqual("220 ready\r\n", printed)

    async def test_large_and_slow(self) -> None:
        """A large answer arrives whole, also if PHP reads it late."""
        server = self.serve()
        self.start_pools(f"lines=tcp://127.0.0.1:{server.port}")
        printed = await self.php(
            f"$s = stream_socket_client('unix://{self.socket}'); fwrite($s, \"large\\n\");"
            "sleep(1); $n = 0; while (($c = fread($s, 65536)) !== '' && $c !== false) {"
            "$n += strlen($c); if (substr($c, -1) === \"\\n\" && strpos($c, 'large')) break; }"
            "echo $n;"
        )
        self.assertGreaterEqual(int(printed), 5_000_001)

    async def test_half_closed(self) -> None:
        """PHP that sends no more still gets its answer."""
        server = self.serve()
        self.start_pools(f"lines=tcp://127.0.0.1:{server.port}")
        printed = await self.php(
            f"$s = stream_socket_client('unix://{self.socket}'); fwrite($s, \"slow\\n\");"
            "stream_socket_shutdown($s, STREAM_SHUT_WR); echo stream_get_contents($s);"
        )
        self.assertRegex(printed, r"^\d slow\n$")

    async def test_full(self) -> None:
        """PHP waits for its turn, and not for ever; then its connection ends."""
        server = self.serve()
        gateway = self.start_pools(f"lines=tcp://127.0.0.1:{server.port}?size=1&wait=500ms")
        printed = await self.php(
            f"$u = 'unix://{self.socket}'; $a = stream_socket_client($u); fwrite($a, \"a\\n\");"
            'fgets($a); $b = stream_socket_client($u); fwrite($b, "b\\n");'
            "var_dump(fgets($b), feof($b)); fclose($a); $c = stream_socket_client($u);"
            'fwrite($c, "c\\n"); echo fgets($c);'
        )
        self.assertTrue(printed.startswith("bool(false)\nbool(true)\n"), printed)
        self.assertTrue(printed.endswith(" c\n"))
        refused = 'phpgw_pool_refused_total{pool="lines",reason="full"}'
        await self.until(lambda: self.number(gateway, refused) == 1, "the figure")

    async def test_many_at_once(self) -> None:
        """200 connections of PHP share 8; at no time are there more."""
        server = self.serve()
        self.start_pools(f"lines=tcp://127.0.0.1:{server.port}?size=8&wait=30s")
        answers: list[bytes] = []

        def visit() -> None:
            with socket.socket(socket.AF_UNIX) as php:
                php.connect(str(self.socket))
                php.sendall(b"a\n")
                answers.append(php.makefile("rb").readline())

        threads = [threading.Thread(target=visit) for _ in range(200)]
        most = 0

        def visit_all() -> None:
            nonlocal most
            for each in threads:
                each.start()
            while any(each.is_alive() for each in threads):
                most = max(most, len(server.open))
                time.sleep(0.001)

        await deferToThread(visit_all)
        self.assertEqual(200, len({*answers}))
        self.assertTrue(all(answer.endswith(b" a\n") for answer in answers))
        self.assertLessEqual(most, 9)


class TlsTests(PoolsTestCase):
    def tls(self, names: tuple[str, ...]) -> tuple[LineServer, Path]:
        certificate = make_certificate(self.directory, names=names)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate.path, certificate.key_path)
        return self.serve(context=context), certificate.path

    async def test_verified(self) -> None:
        """Handshakes are over before PHP comes."""
        server, ca_file = self.tls(("localhost",))
        self.start_pools(f"lines=tls://localhost:{server.port}?size=2&ca-file={ca_file}")
        await self.until(lambda: len(server.open) == 2, "the second handshake")
        self.assertRegex(await self.ask(), r"^\d hello\n$")

    async def test_other_name(self) -> None:
        """A server with another name gets nothing of PHP's, and the status says why."""
        server, ca_file = self.tls(("other.example",))
        pool = f"lines=tls://localhost:{server.port}?size=1&ca-file={ca_file}"
        gateway = self.start_pools(pool)
        self.assertEqual("", await self.ask())
        self.assertEqual(set(), server.open)
        await self.until(lambda: "TLS: " in gateway.log, "the reason")

    async def test_unknown_authority(self) -> None:
        server, _ = self.tls(("localhost",))
        gateway = self.start_pools(f"lines=tls://localhost:{server.port}?size=1")
        self.assertEqual("", await self.ask())
        self.assertIn("no connection could be opened: TLS: ", gateway.log)


class ProcessTests(PoolsTestCase):
    async def test_server_comes_back(self) -> None:
        """While a server is down, PHP is told so at once; then all is as before."""
        port = free_port()
        gateway = self.start_pools(f"lines=tcp://127.0.0.1:{port}?size=2")
        start = time.monotonic()
        self.assertEqual("", await self.ask())
        self.assertLess(time.monotonic() - start, 5)
        self.assertIn("Pool lines: no connection could be opened", gateway.log)
        listening = socket.create_server(("127.0.0.1", port))
        listening.close()

    async def test_killed(self) -> None:
        """PHP that connects while the process is started again waits for it."""
        server = self.serve()
        gateway = self.start_pools(f"lines=tcp://127.0.0.1:{server.port}")
        await self.ask()
        pid = self.pools_pid(gateway)
        os.kill(pid, signal.SIGKILL)
        self.assertRegex(await self.ask(), r"^\d+ hello\n$")
        self.assertNotEqual(pid, self.pools_pid(gateway))
        self.assertEqual(1, self.number(gateway, "phpgw_pools_restarts_total"))
        self.assertIn("The process of the pools ended (signal 9)", gateway.log)

    async def test_gateway_killed(self) -> None:
        """The process ends with the gateway, however that ends."""
        server = self.serve()
        gateway = self.start_pools(f"lines=tcp://127.0.0.1:{server.port}")
        await self.ask()
        pid = self.pools_pid(gateway)
        gateway.signal(signal.SIGKILL)
        await self.until(lambda: not Path(f"/proc/{pid}").exists(), "its end")

    async def test_stop(self) -> None:
        """PHP may end what it does; whoever comes later is refused."""
        server = self.serve()
        gateway = self.start_pools(f"lines=tcp://127.0.0.1:{server.port}")
        asked = Deferred.fromCoroutine(self.ask("slow"))
        await deferToThread(server.is_asked.wait, 15)
        await deferToThread(gateway.stop)
        self.assertRegex(await asked, r"^\d slow\n$")
        self.assertFalse(self.socket.exists())

    async def test_reload(self) -> None:
        """A reload has all connections opened anew."""
        server = self.serve()
        gateway = self.start_pools(f"lines=tcp://127.0.0.1:{server.port}?size=2")
        await self.until(lambda: server.accepted == 2, "the second connection")
        gateway.signal(signal.SIGHUP)
        await self.until(lambda: server.accepted == 4, "the fourth connection")
        self.assertRegex(await self.ask(), "^[34] hello\n$")

    async def test_off(self) -> None:
        """Without pools there is no process."""
        gateway = self.start_gateway("--php-url", "http://127.0.0.1:9/")
        self.assertEqual([], [*children(gateway.pid)])

    async def test_workers(self) -> None:
        """With several workers, the pools are there once, and each worker tells their figures."""
        server = self.serve()
        gateway = self.start_pools(
            f"lines=tcp://127.0.0.1:{server.port}", options=("--workers", "2")
        )
        self.assertRegex(await self.ask(), r"^\d hello\n$")
        self.pools_pid(gateway)
        used = 'phpgw_pool_closed_total{pool="lines",reason="used"}'
        for _ in range(4):
            await self.until(lambda: self.number(gateway, used) == 1, "the figure")
        await deferToThread(gateway.stop)
        self.assertFalse(self.socket.exists())

    async def test_cannot_listen(self) -> None:
        """A socket that cannot be opened ends the start, with the option's name."""
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            ended = await Gateway.run(
                *("--php-url", "http://127.0.0.1:9/", "--listen", f"{free_port()}"),
                *("--pool", f"lines=tcp://h:1?listen=127.0.0.1:{port}"),
            )
        self.assertEqual(1, ended.status)
        self.assertIn("--pool: got 'lines: 127.0.0.1:", ended.stderr)
        self.assertIn("in use", ended.stderr)
