"""Several workers under one parent: killed, hung, reloaded, replaced and stopped."""

import contextlib
import json
import os
import re
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import SkipTest

from tests.support.certificate import make_certificate
from tests.support.real.command import run
from tests.support.real.curl import CurlError, curl
from tests.support.real.gateway import ROOT, Gateway, environment
from tests.support.real.process import free_port
from tests.support.real.process_table import descendants, still_running
from tests.support.real.served_gateway import ServedGateway
from tests.support.real.system_test_case import SystemTestCase
from tests.support.real.upstreams import ECHO, OwnPhpFpmTestCase
from tests.support.real.waiting import pause, until
from tests.support.real.websocket_client import Closed, Connection, HandshakeFailed, connect
from tests.system.test_restarts import Activated, ActivatedByPath

_NO_PHP = ("--php-url", "http://127.0.0.1:1/", "--php-concurrency", "4", "--php-probe", "off")
_NOBODY = 65534
# That of the tests may be in a directory that nobody may enter.
_SYSTEM_PYTHON = "/usr/bin/python3"
_READY = re.compile(r"Worker (\d+) is ready, process (\d+)")


def command_line(pid: int) -> str:
    """Return the command line of a process."""
    return Path(f"/proc/{pid}/cmdline").read_text()


def worker_pids(log: str) -> list[int]:
    """Return the ids of the processes that the workers have, as the log says."""
    latest = {int(number): int(pid) for number, pid in _READY.findall(log)}
    return [latest[number] for number in sorted(latest)]


class WorkersTestCase(OwnPhpFpmTestCase):
    """Two workers, with a PHP-FPM of their own."""

    timeout = 90

    async def start_workers(self, *arguments: str, script: str = ECHO) -> None:
        self.start(script, "--workers", "2", *arguments)
        await self.are_ready(2)

    async def are_ready(self, times: int) -> None:
        """Wait until processes of workers have become ready so many times."""
        while len(_READY.findall(self.gateway.log)) < times:
            await pause(0.05)

    async def clients(self, count: int) -> list[Connection]:
        return [await self.connect(self.gateway.ws_url) for _ in range(count)]

    async def assert_served(self, client: Connection) -> None:
        client.send("hello")
        self.assertEqual("hello", await client.receive())

    async def while_visited(self, happens: Callable[[], Awaitable[object]]) -> int:
        """Return how many have connected, one after another, while something happens.

        Each that is refused is an error.
        """
        going_on = True
        came = 0

        async def visit() -> None:
            nonlocal came
            while going_on:
                client = await connect(self.gateway.ws_url)
                came += 1
                await client.close()

        visitors = [Deferred.fromCoroutine(visit()) for _ in range(4)]
        await happens()
        going_on = False
        await gatherResults(visitors)
        return came


class WorkerLossTests(WorkersTestCase):
    async def test_killed(self) -> None:
        """A worker that is killed loses its own clients alone, and is replaced."""
        await self.start_workers()
        clients = await self.clients(40)
        endings: dict[int, int | None] = {}

        def note(closed: Closed, index: int) -> None:
            endings[index] = closed.code

        for index, client in enumerate(clients):
            client.closed.addCallback(note, index)
        os.kill(worker_pids(self.gateway.log)[0], signal.SIGKILL)
        await self.are_ready(3)
        # The kernel spreads connections by a hash; one of 10^8 runs has less.
        self.assertTrue(4 <= len(endings) <= 36, len(endings))
        self.assertEqual({1006}, set(endings.values()))
        left = [client for index, client in enumerate(clients) if index not in endings]
        for client in (*left, *await self.clients(20)):
            await self.assert_served(client)
        self.assertIn("Worker 1 ended (signal 9); it is started again in 0.1 s", self.gateway.log)

    async def test_hangs(self) -> None:
        """A worker that hangs is killed and replaced; those who come meanwhile are served then."""
        await self.start_workers()
        pid = worker_pids(self.gateway.log)[1]
        os.kill(pid, signal.SIGSTOP)
        clients = await gatherResults([self.connect(self.gateway.ws_url) for _ in range(20)])
        await self.are_ready(3)
        self.assertIn("Worker 2 has hung for 10 s; it is killed, and replaced", self.gateway.log)
        self.assertNotIn(pid, worker_pids(self.gateway.log))
        for client in clients:
            await self.assert_served(client)

    async def test_told_to_stop(self) -> None:
        """A worker that somebody stops drains, and another one takes its place meanwhile."""
        await self.start_workers()
        clients = await self.clients(20)
        codes = []
        for client in clients:
            client.closed.addCallback(lambda closed: codes.append(closed.code))
        pid = worker_pids(self.gateway.log)[0]

        async def replaced() -> None:
            os.kill(pid, signal.SIGTERM)
            await self.are_ready(3)

        self.assertGreater(await self.while_visited(replaced), 0)
        while not codes:
            await pause(0.05)
        self.assertEqual({1001}, set(codes))

    async def test_parent_killed(self) -> None:
        """Nothing survives the parent: neither a worker that hangs, nor PHP-FPM."""
        await self.start_workers()
        processes = descendants(self.gateway.pid)
        self.assertGreater(len(processes), 3)
        os.kill(worker_pids(self.gateway.log)[0], signal.SIGSTOP)
        self.gateway.signal(signal.SIGKILL)
        while still_running(processes):
            await pause(0.05)


class RestartTests(WorkersTestCase):
    async def test_replaced(self) -> None:
        """phpgw reload replaces all workers; nobody is refused, clients are told to come back."""
        await self.start_workers()
        clients = await self.clients(20)
        before = worker_pids(self.gateway.log)

        async def replaced() -> None:
            url = f"http://127.0.0.1:{self.gateway.port}"
            command = [sys.executable, "-m", "phpgw.cli", "reload", "--url", url]
            ended = await run(command, env=environment(), timeout=20)
            self.assertIn(f"Process {self.gateway.pid} replaces its 2 workers", ended.stdout)
            while "All workers are replaced" not in self.gateway.log:
                await pause(0.05)

        self.assertGreater(await self.while_visited(replaced), 5)
        self.assertEqual({1001}, {(await client.closed).code for client in clients})
        self.assertEqual(set(), {*before} & {*worker_pids(self.gateway.log)})
        for client in await self.clients(20):
            await self.assert_served(client)

    async def test_reload(self) -> None:
        """SIGHUP has PHP-FPM replaced, once; clients stay, and all workers ask the new one."""
        await self.start_workers()
        clients = await self.clients(20)
        self.gateway.signal(signal.SIGHUP)
        while self.gateway.log.count("is ready, with 8 workers") < 2:
            await pause(0.05)
        for client in clients:
            await self.assert_served(client)

    async def test_drain(self) -> None:
        """SIGTERM drains all workers together, and the parent ends last, with status 0."""
        await self.start_workers(script="<?php usleep(200000); echo $_POST['message'];")
        clients = await self.clients(20)
        for client in clients:
            client.send("last")
        self.gateway.signal(signal.SIGTERM)
        self.assertEqual(["last"] * 20, [await client.receive() for client in clients])
        self.assertEqual({1001}, {(await client.closed).code for client in clients})
        self.assertEqual(0, await deferToThread(self.gateway.wait))


class PushTests(WorkersTestCase):
    """The clients of all workers are those of one gateway."""

    async def ids(self) -> list[str]:
        url = f"http://127.0.0.1:{self.gateway.port}/clients"
        return [each["client_id"] for each in json.loads(await curl(url))["clients"]]

    async def push(self, **fields: str) -> str:
        arguments = [each for name, text in fields.items() for each in ("-d", f"{name}={text}")]
        return await curl("-w", " %{http_code}", *arguments, self.gateway.send_url)

    async def all_push(self, client_ids: list[str]) -> set[str]:
        """Push to each client, by whichever worker the connection comes to."""
        return {await self.push(message="x", client_id=each) for each in client_ids}

    async def test_every_client(self) -> None:
        """Any worker takes a push for a client of any other, and a list has all."""
        await self.start_workers()
        clients = await self.clients(10)
        client_ids = await self.ids()
        self.assertEqual(10, len(client_ids))
        nodes = {each.partition(".")[0] for each in client_ids}
        self.assertEqual(2, len(nodes))
        self.assertEqual({"Message sent 200"}, await self.all_push(client_ids))
        self.assertEqual(["x"] * 10, [await client.receive() for client in clients])
        commands = [{"op": "join", "to": {"client": each}, "group": "g"} for each in client_ids]
        url = f"http://127.0.0.1:{self.gateway.port}/commands"
        await curl("-d", json.dumps(commands), url)
        send = [{"op": "send", "to": {"group": "g"}, "message": "y"}]
        (result,) = json.loads(await curl("-d", json.dumps(send), url))
        self.assertEqual(10, result["delivered"])
        self.assertEqual(["y"] * 10, [await client.receive() for client in clients])

    async def test_worker_killed(self) -> None:
        """Its clients are unknown, and soon gone; pushes to all others go on."""
        await self.start_workers()
        clients = await self.clients(10)
        client_ids = await self.ids()
        os.kill(worker_pids(self.gateway.log)[0], signal.SIGKILL)
        await self.are_ready(3)
        while len(await self.left(clients)) == 10:
            await pause(0.05)
        left = await self.left(clients)

        async def known() -> bool:
            answers = [await self.push(message="x", client_id=each) for each in client_ids]
            sent = sum(each == "Message sent 200" for each in answers)
            self.assertEqual(len(left), sent, answers)
            return {each[-3:] for each in answers} == {"200", "404"}

        await until(known)

    async def left(self, clients: list[Connection]) -> list[Connection]:
        return [client for client in clients if client.closed.called is False]

    async def test_engine_killed(self) -> None:
        """The engine is started again, and pushes between workers go on by themselves."""
        await self.start_workers()
        await self.clients(10)
        client_ids = await self.ids()
        (engine,) = [each for each in self.gateway.children() if "-server" in command_line(each)]
        os.kill(engine, signal.SIGKILL)

        async def all_there() -> bool:
            return await self.all_push(client_ids) == {"Message sent 200"}

        await until(all_there)
        self.assertEqual(2, self.gateway.log.count("is ready for the workers"))

    async def test_timer(self) -> None:
        """A timer runs in one worker each time, and in another one once that is killed."""
        self.write({"runs": ""})
        script = "<?php file_put_contents(__DIR__ . '/runs', $_POST['message'], FILE_APPEND);"
        await self.start_workers("--timer", "t=1s", script=script)
        runs = self.document_root / "runs"
        for pid in worker_pids(self.gateway.log):
            count = len(runs.read_text())
            while len(runs.read_text()) < count + 3:
                await pause(0.05)
            count = len(runs.read_text())
            await pause(5)
            self.assertIn(len(runs.read_text()) - count, (4, 5, 6))
            os.kill(pid, signal.SIGKILL)


class NumbersTests(WorkersTestCase):
    async def test_sums(self) -> None:
        """Whichever worker answers, the numbers are those of all, and of those before them."""
        await self.start_workers("--drain-timeout", "2s")
        clients = await self.clients(20)
        for client in clients:
            await self.assert_served(client)
        url = f"http://127.0.0.1:{self.gateway.port}"

        async def assert_numbers(clients_now: int) -> None:
            for _ in range(6):
                stats = await self.stats()
                self.assertEqual((clients_now, 20), (stats["clients_now"], stats["messages_sent"]))
                text = await curl(f"{url}/metrics")
                for line in (
                    f"phpgw_connections {clients_now}.0",
                    'phpgw_messages_total{direction="sent"} 20.0',
                    "phpgw_workers_serving 2.0",
                    "phpgw_php_turns 8.0",
                    "phpgw_fpm_restarts_total 0.0",
                ):
                    self.assertIn(f"\n{line}\n", text)

        await assert_numbers(20)
        os.kill(worker_pids(self.gateway.log)[0], signal.SIGKILL)
        await self.are_ready(3)
        await assert_numbers((await self.stats())["clients_now"])
        self.gateway.signal(signal.SIGUSR2)
        while "All workers are replaced" not in self.gateway.log:
            await pause(0.05)
        await assert_numbers(0)

    async def test_readiness(self) -> None:
        """The gateway is ready while a worker is, and each worker knows."""
        await self.start_workers("--max-connections", "2")
        ready = f"http://127.0.0.1:{self.gateway.port}/readyz"

        async def all_say(answer: str) -> bool:
            return {await curl(ready) for _ in range(10)} == {answer}

        await until(lambda: all_say("ready\n"))
        await self.connect(self.gateway.ws_url)
        # Those who know it already, and those who will in a second.
        await pause(1.5)
        self.assertTrue(await all_say("ready\n"))
        while (await self.stats())["clients_now"] < 2:
            connecting = self.connect(self.gateway.ws_url)
            # The kernel chooses a worker, which may be the one that is full.
            connecting.addErrback(lambda failure: failure.trap(HandshakeFailed))
            await connecting
        await until(lambda: all_say("there is no room for more clients (--max-connections)\n"))

    async def test_service_manager(self) -> None:
        """systemd hears the parent alone: ready with all workers, then the sum; then the end."""
        manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(manager.close)
        manager.bind(str(self.directory / "notify"))
        manager.setblocking(False)

        async def hears(text: str) -> None:
            while True:
                with contextlib.suppress(BlockingIOError):
                    message = manager.recv(4096).decode()
                    self.assertTrue("ready" in message or "=" in message)
                    if text in message:
                        return
                await pause(0.01)

        env = {"NOTIFY_SOCKET": str(self.directory / "notify"), "WATCHDOG_USEC": "1000000"}
        gateway = self.start_gateway(*_NO_PHP, "--workers", "2", env=env)
        await hears("READY=1")
        self.assertEqual(2, len(worker_pids(gateway.log)))
        clients = [await self.connect(gateway.ws_url) for _ in range(5)]
        await hears("STATUS=2 of 2 workers are ready; 5 clients are connected")
        gateway.signal(signal.SIGHUP)
        await hears("RELOADING=1")
        await hears("READY=1")
        gateway.signal(signal.SIGTERM)
        await hears("STOPPING=1")
        self.assertEqual(1001, (await clients[0].closed).code)
        self.assertEqual(0, await deferToThread(gateway.wait))


class FailureTests(WorkersTestCase):
    async def test_of_all(self) -> None:
        """Whichever worker answers, the failures are those of all, newest first."""
        script = "<?php if ($_POST['message'] === 'fail') { http_response_code(500); }"
        await self.start_workers(script=script)
        for client in await self.clients(12):
            client.send("fail")
        url = f"http://127.0.0.1:{self.gateway.port}"
        client_ids = [
            each["client_id"] for each in json.loads(await curl(f"{url}/clients"))["clients"]
        ]
        self.assertEqual(2, len({each.partition(".")[0] for each in client_ids}))

        async def failures() -> list[dict[str, Any]]:
            found: list[dict[str, Any]] = json.loads(await curl(f"{url}/failures"))["failures"]
            return found

        async def assert_all_told() -> None:
            for _ in range(4):
                found = await failures()
                self.assertEqual({*client_ids}, {each["client_id"] for each in found})
                times = [each["at"] for each in found]
                self.assertEqual(sorted(times, reverse=True), times)

        async def all_failed() -> bool:
            return len(await failures()) == len(client_ids)

        await until(all_failed)
        await assert_all_told()
        # Those of a worker that has ended stay.
        os.kill(worker_pids(self.gateway.log)[0], signal.SIGKILL)
        await self.are_ready(3)
        await assert_all_told()


class KnowledgeTests(SystemTestCase):
    """What one worker knows, and others must."""

    async def start_workers(self) -> tuple[Gateway, str]:
        gateway = self.start_gateway(*_NO_PHP, "--workers", "3")
        while len(_READY.findall(gateway.log)) < 3:
            await pause(0.05)
        return gateway, f"http://127.0.0.1:{gateway.port}"

    async def test_probes(self) -> None:
        """A handshake of phpgw check may come to another worker than the one that expects it."""
        gateway, url = await self.start_workers()
        upgrade = ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13")
        headers = [each for header in upgrade for each in ("-H", header)]
        for _ in range(4):
            report = json.loads(await curl("-X", "POST", f"{url}/check?script=off&token=on"))
            self.assertEqual(
                (gateway.pid, 3, 4),
                tuple(report[name] for name in ("pid", "workers", "concurrency")),
            )
            with contextlib.suppress(CurlError):
                # The connection stays open.
                await curl(
                    *("--max-time", "0.5", *headers, "-H", f"Sec-WebSocket-Key: {'A' * 22}=="),
                    f"{url}/ws?phpgw-check={report['token']}",
                )
            for _ in range(4):
                seen = json.loads(await curl(f"{url}/check/{report['token']}"))
                self.assertEqual("/ws", seen["handshake"]["path"])

    async def test_proxy(self) -> None:
        """Once a browser has come through a proxy, no worker takes requests of the API there."""
        gateway, url = await self.start_workers()
        client = await self.connect(gateway.ws_url, headers={"X-Forwarded-For": "192.0.2.1"})
        await client.close()
        await pause(0.2)
        for _ in range(10):
            self.assertEqual(
                "403", await curl("-o", "/dev/null", "-w", "%{http_code}", f"{url}/stats")
            )


class EndpointTests(SystemTestCase):
    """Each kind of endpoint, shared among workers."""

    def start_workers(self, *arguments: str) -> Gateway:
        return self.start_gateway(*_NO_PHP, "--workers", "3", *arguments)

    async def test_unix(self) -> None:
        """UNIX sockets have their mode, and their files are deleted at the end."""
        path, api = self.directory / "public", self.directory / "api"
        gateway = self.start_workers("--listen", f"unix:{path}:mode=600", "--api-listen", str(api))
        self.assertEqual(0o600, stat.S_IMODE(path.stat().st_mode))
        for each in (path, api) * 5:
            url = "http://localhost/healthz"
            self.assertEqual("ok\n", await curl("--unix-socket", str(each), url))
        self.assertEqual(0, await deferToThread(gateway.stop))
        self.assertEqual((False, False), (path.exists(), api.exists()))

    async def test_tls(self) -> None:
        """Each worker has the certificate, and reads it again on SIGHUP."""
        certificate = make_certificate(self.directory)
        files = f"privateKey={certificate.key_path}:certKey={certificate.path}"
        port = free_port()
        gateway = self.start_workers("--listen", f"ssl:{port}:{files}")
        for _ in range(6):
            client = await self.connect(f"wss://127.0.0.1:{port}/ws", certificate=certificate.path)
            await client.close()
        count = gateway.log.count("has the certificate in")
        gateway.signal(signal.SIGHUP)
        while gateway.log.count("has the certificate in") < count + 3:
            await pause(0.05)

    async def test_proxy_protocol(self) -> None:
        port = free_port()
        self.start_workers("--listen", f"haproxy:tcp:{port}:interface=127.0.0.1")
        for _ in range(6):
            self.assertEqual(
                "ok\n", await curl("--haproxy-protocol", f"http://127.0.0.1:{port}/healthz")
            )

    async def test_socket_activation(self) -> None:
        """Sockets of systemd's are shared, and nobody is refused during a restart."""
        arguments = (*_NO_PHP, "--workers", "2")
        gateway = self._started(Activated(self.directory / "activated", *arguments))
        for _ in range(2):
            clients = await gatherResults([self.connect(gateway.ws_url) for _ in range(10)])
            await gateway.restarted()
            self.assertEqual({1001}, {(await client.closed).code for client in clients})
        path = self.directory / "socket"
        serve = (sys.executable, "-m", "phpgw.cli", "serve")
        command = (*serve, "--listen", "systemd:domain=UNIX:index=0", *arguments)
        by_path = self._started(ActivatedByPath(self.directory / "path", path, *command))
        for _ in range(4):
            answer = await curl("--unix-socket", str(path), "http://localhost/healthz")
            self.assertEqual("ok\n", answer)
        await deferToThread(by_path.stop)
        self.assertTrue(path.is_socket())


class GatewayOfNobody(Gateway):
    """A gateway that is started by root, and goes on as nobody (``twistd --uid``)."""

    def __init__(self, directory: Path, *arguments: str) -> None:
        super().__init__(directory, *arguments)
        _, *options = self._arguments
        first = options.index("-n")
        ids = (f"--uid={_NOBODY}", f"--gid={_NOBODY}")
        self._arguments = [_SYSTEM_PYTHON, *options[:first], *ids, *options[first:]]
        assert self._env is not None
        libraries = (each for each in sys.path if each.endswith("site-packages"))
        self._env = {**self._env, "PYTHONPATH": os.pathsep.join((str(ROOT), *libraries))}


class StartTests(SystemTestCase):
    async def test_uid(self) -> None:
        """With ``twistd --uid``, all processes are of that user, also those that start later."""
        version = "import sys; print(sys.version_info[:2])"
        found = subprocess.run([_SYSTEM_PYTHON, "-c", version], capture_output=True, check=False)
        if os.geteuid() != 0 or found.stdout.decode().strip() != str(sys.version_info[:2]):
            raise SkipTest("it needs root, and a Python for everybody, of the same version")
        arguments = (*_NO_PHP, "--workers", "2", "--client-id", "random")
        gateway = self._started(GatewayOfNobody(self._directory_for("gateway"), *arguments))

        async def are_ready(times: int) -> None:
            while len(_READY.findall(gateway.log)) < times:
                await pause(0.05)
            processes = [gateway.pid, *(each.pid for each in descendants(gateway.pid))]
            self.assertEqual({_NOBODY}, {Path(f"/proc/{pid}").stat().st_uid for pid in processes})

        await are_ready(2)
        os.kill(worker_pids(gateway.log)[0], signal.SIGKILL)
        await are_ready(3)
        gateway.signal(signal.SIGUSR2)
        await are_ready(5)
        clients = [await self.connect(gateway.ws_url) for _ in range(6)]

        async def all_get_it() -> bool:
            return await curl("-d", "all=1&message=hi", gateway.send_url) == "Message sent"

        await until(all_get_it)
        for client in clients:
            self.assertEqual("hi", await client.receive())
        self.assertEqual(0, await deferToThread(gateway.stop))

    async def test_served(self) -> None:
        """``phpgw serve`` has workers, too; a line of the log tells which it is from."""
        port = free_port()
        config = self.directory / "phpgw.toml"
        config.write_text(
            f'listen = "127.0.0.1:{port}"\nphp-url = "http://127.0.0.1:1/"\nworkers = 2\n'
            'log-format = "json"\n'
        )
        gateway = self._started(ServedGateway(self.directory / "served", config, port))
        for number in (1, 2):
            while f'"worker":{number}' not in gateway.log:
                await pause(0.05)
        self.assertEqual(0, await deferToThread(gateway.stop))

    async def test_mistakes(self) -> None:
        """A line tells what is wrong, before anything is started."""
        taken = self.start_gateway(*_NO_PHP, "--workers", "2").port
        two = (*_NO_PHP, "--workers", "2")
        for arguments, expected in (
            ((*_NO_PHP, "--workers", "5"), "--workers: got '5'; expected at most 4"),
            ((*two, "--listen", f"127.0.0.1:{taken}"), "--listen: cannot listen on 'tcp:"),
            ((*two, "--listen", "ssl:0:privateKey=/nowhere"), "--listen: got 'ssl:0:privateKey="),
            ((*two, "--listen", "fd:x"), "--listen: got 'fd:x'; expected with --workers"),
            ((*two, "--php-script", "/nowhere"), "--php-script: got"),
        ):
            ended = await Gateway.run(*arguments)
            self.assertEqual(1, ended.status)
            self.assertIn(f"phpgw: {expected}", ended.stderr)
            self.assertEqual(1, len(ended.stderr.splitlines()), ended.stderr)

    async def test_no_parent(self) -> None:
        """The program of a worker is of no use by itself."""
        command = [sys.executable, "-m", "phpgw.workers.main", "1"]
        ended = await run(
            ["sh", "-c", 'exec "$@" 3</dev/null 4>&1', "sh", *command],
            env=environment(),
            timeout=20,
        )
        self.assertEqual("phpgw: a worker is started by its parent alone\n", ended.stderr)
