"""The gateway is stopped, started again and told to read its files, while it is at work."""

import os
import re
import signal
import socket
import stat
import sys
from pathlib import Path
from typing import Any

from autobahn.exception import Disconnected
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.error import ProcessDone
from twisted.internet.protocol import ProcessProtocol
from twisted.internet.threads import deferToThread
from twisted.python.failure import Failure

from tests.support.certificate import make_certificate
from tests.support.in_memory_browser import TEXT, frame, request
from tests.support.real import socket_activator
from tests.support.real.command import run
from tests.support.real.curl import curl
from tests.support.real.gateway import ROOT, Gateway, environment
from tests.support.real.process import Process, accepts, find, free_port
from tests.support.real.raw_client import RawClient
from tests.support.real.system_test_case import SystemTestCase
from tests.support.real.upstreams import ECHO, RECORD, FastCgiTestCase, OwnPhpFpmTestCase
from tests.support.real.waiting import pause
from tests.support.real.websocket_client import Connection, ConnectionClosed, connect

_TWISTD = str(Path(sys.executable).with_name("twistd"))
_NO_PHP = ("--php-url", "http://127.0.0.1:1/")
_RUNS = "browsers connect to"


class DrainTests(FastCgiTestCase):
    """SIGTERM."""

    async def test_no_message_is_lost(self) -> None:
        """Under load: all that the gateway has taken reaches PHP, and its answer the client."""
        slow = RECORD.replace("<?php", "<?php usleep(5000);")
        self.start(slow, "--drain-timeout", "30s", "--max-inbox", "8")
        clients = [await self.connect(self.gateway.ws_url) for _ in range(30)]
        talking = [self.talk(number, client) for number, client in enumerate(clients)]
        while len(self.recorded()) < 100:
            await pause(0.05)
        stopped = deferToThread(self.gateway.stop)
        answered = await gatherResults(talking)
        self.assertEqual(0, await stopped)
        for client in clients:
            self.assertEqual(1001, (await client.closed).code)
        for number, answers in enumerate(answered):
            # From the first on, in order, none left out.
            self.assertEqual([f"{number}-{i}" for i in range(len(answers))], answers)
        # PHP was given none whose answer the client has not got.
        all_answers = [answer for answers in answered for answer in answers]
        self.assertEqual(sorted(all_answers), sorted(self.recorded()))
        taken = re.findall(r"code 1001 \([^)]*\), (\d+) messages in, (\d+) out", self.gateway.log)
        self.assertEqual(30, len(taken))
        self.assertEqual([], [each for each in taken if each[0] != each[1]])
        self.assertNotIn("PHP has not answered", self.gateway.log)

    async def test_messages_in_one_segment(self) -> None:
        """All that was sent before the stop is answered, though an inbox takes but a part of it."""
        self.start(RECORD)
        await self.send_and_stop()

    async def test_messages_that_come_too_fast(self) -> None:
        """It is answered at the pace that is allowed."""
        self.start(RECORD, "--max-message-rate", "50")
        await self.send_and_stop()

    async def send_and_stop(self) -> None:
        with RawClient(self.gateway.port) as client:
            await deferToThread(client.upgrade, request())
            client.send(b"".join(frame(TEXT, b"%d" % number) for number in range(100)))
            self.gateway.signal(signal.SIGTERM)
            frames = await deferToThread(lambda: [client.frame() for _ in range(101)])
        answers, (_, close) = frames[:-1], frames[-1]
        self.assertEqual([b"%d" % number for number in range(100)], [each for _, each in answers])
        self.assertEqual(1001, int.from_bytes(close[:2]))
        self.assertEqual([str(number) for number in range(100)], self.recorded())
        self.assertEqual(0, await deferToThread(self.gateway.wait))

    def talk(self, number: int, client: Connection) -> Deferred[list[str]]:
        """Say more than the gateway takes, all the time; all that is answered."""

        async def speak() -> list[str]:
            said = 0
            answers: list[str] = []
            while True:
                while said < len(answers) + 100:
                    client.send(f"{number}-{said}")
                    said += 1
                try:
                    answers.append(str(await client.receive()))
                except ConnectionClosed:
                    return answers

        return Deferred.fromCoroutine(speak())

    async def test_spread(self) -> None:
        """Clients are sent away a hundred in a second, and are served until then."""
        self.start(ECHO)
        clients: list[Connection] = []
        for _ in range(6):
            clients += await gatherResults([self.connect(self.gateway.ws_url) for _ in range(50)])
        times: list[float] = []
        for client in clients:
            client.closed.addCallback(lambda closed: times.append(_now()))
        served = Deferred.fromCoroutine(self.serve_until_sent_away(clients))
        begun = _now()
        self.gateway.signal(signal.SIGTERM)
        codes = {(await client.closed).code for client in clients}
        self.assertEqual({1001}, codes)
        self.assertGreater(times[-1] - times[0], 2)
        self.assertLess(times[-1] - begun, 10)
        # Most of all that were asked while the gateway was stopping.
        self.assertGreater(await served, 5)
        self.assertEqual(0, await deferToThread(self.gateway.wait))

    async def serve_until_sent_away(self, clients: list[Connection]) -> int:
        """How many questions in a row are answered while there is somebody left to ask."""
        answers = 0
        while True:
            for client in clients:
                try:
                    client.send("hello")
                    self.assertEqual("hello", await client.receive())
                except (ConnectionClosed, Disconnected):
                    continue
                answers += 1
                break
            else:
                return answers
            await pause(0.1)

    async def test_second_signal(self) -> None:
        """Whoever is in a hurry sends another."""
        self.start("<?php sleep(10);")
        client = await self.connect(self.gateway.ws_url)
        client.send("never answered")
        while not await self.php_works():
            await pause(0.02)
        self.gateway.signal(signal.SIGTERM)
        while "Stopping" not in self.gateway.log:
            await pause(0.02)
        self.gateway.signal(signal.SIGTERM)
        self.assertEqual(-signal.SIGTERM, await deferToThread(self.gateway.wait, 2))


class LastResortTests(OwnPhpFpmTestCase):
    """What does not end by itself is not waited for."""

    async def test_php_is_busy(self) -> None:
        """With a PHP-FPM of our own: all of it within --drain-timeout, and a little."""
        self.start("<?php ignore_user_abort(true); sleep(30);", "--drain-timeout", "1s")
        client = await self.connect(self.gateway.ws_url)
        client.send("never answered")
        while not await self.php_works():
            await pause(0.02)
        self.gateway.signal(signal.SIGTERM)
        self.assertEqual(0, await deferToThread(self.gateway.wait, 8))

    async def test_name_is_looked_up(self) -> None:
        """For ever, by a thread that nobody can end."""
        python_path = os.pathsep.join(map(str, (ROOT / "tests/support/real/slow_dns", ROOT)))
        self.gateway = self.start_gateway(
            *("--php-url", "http://slow.test/", "--drain-timeout", "1s", "--events", "connect"),
            env={"PYTHONPATH": python_path},
        )
        handshake = self.connect(self.gateway.ws_url)
        handshake.addErrback(lambda _: None)
        await pause(0.5)
        self.gateway.signal(signal.SIGTERM)
        self.assertEqual(0, await deferToThread(self.gateway.wait, 8))


class Activated(Process):
    """A gateway whose port stays open while it is restarted.

    :param over: what its endpoint is made into, such as one with TLS.
    """

    name = "activated"
    stop_timeout = 20.0

    def __init__(self, directory: Path, *arguments: str, over: str = "{}") -> None:
        self.port = free_port()
        self.ws_url = f"ws://127.0.0.1:{self.port}/ws"
        self._times = 0
        listen = ("--listen", over.format("systemd:domain=INET:index=0"))
        command = (_TWISTD, "-n", "--pidfile=", "phpgw", *listen, *arguments)
        super().__init__(
            directory,
            [sys.executable, socket_activator.__file__, str(self.port), *command],
            env=environment(),
        )

    def is_ready(self) -> bool:
        return self.log.count(_RUNS) > self._times

    async def restarted(self) -> None:
        """Restart the gateway, and wait until it is there again."""
        self._times = self.log.count(_RUNS)
        self.signal(signal.SIGHUP)
        while not self.is_ready():
            await pause(0.05)


class ActivatedByPath(Activated):
    """The same with a UNIX socket, and any command line."""

    def __init__(self, directory: Path, path: Path, *command: str) -> None:
        super().__init__(directory)
        self._arguments = [sys.executable, socket_activator.__file__, str(path), *command]


class ActivationTests(SystemTestCase):
    """A restart under a port of systemd's."""

    async def test_nobody_is_refused(self) -> None:
        """Of all who connect while the gateway is restarted, each gets in."""
        gateway = self._started(Activated(self.directory / "activated", *_NO_PHP))
        clients = [await self.connect(gateway.ws_url) for _ in range(30)]
        self.keep_coming, self.came = True, 0
        visitors = [Deferred.fromCoroutine(self.visit(gateway.ws_url)) for _ in range(8)]
        for _ in range(2):
            before = self.came
            await gateway.restarted()
            while self.came == before:
                await pause(0.05)
        after = self.came
        while self.came < after + 20:
            await pause(0.05)
        self.keep_coming = False
        await gatherResults(visitors)
        codes = [(await client.closed).code for client in clients]
        self.assertEqual([1001] * 30, codes)
        self.assertNotIn("Refused", gateway.log)
        self.assertEqual(2, gateway.log.count("Stopping"))

    async def test_tls(self) -> None:
        """Such a port may speak TLS."""
        certificate = make_certificate(self.directory)
        files = f"privateKey={certificate.key_path}:certKey={certificate.path}"
        gateway = self._started(
            Activated(self.directory / "activated", *_NO_PHP, over=f"ssl:{{}}:{files}")
        )
        url = gateway.ws_url.replace("ws:", "wss:")
        clients = [await self.connect(url, certificate=certificate.path)]
        await gateway.restarted()
        clients.append(await self.connect(url, certificate=certificate.path))
        self.assertEqual(1001, (await clients[0].closed).code)
        self.assertEqual(1000, (await clients[1].close()).code)

    async def test_unix(self) -> None:
        """A UNIX socket of systemd's stays as it is: for its owner alone, and there."""
        path = self.directory / "socket"
        for name, program in (
            ("serve", (sys.executable, "-m", "phpgw.cli", "serve")),
            ("twistd", (_TWISTD, "-n", "phpgw")),
        ):
            path.unlink(missing_ok=True)
            command = (*program, "--listen", "systemd:domain=UNIX:index=0", *_NO_PHP)
            gateway = self._started(ActivatedByPath(self.directory / name, path, *command))
            for _ in range(2):
                answer = await curl("--unix-socket", str(path), "http://localhost/healthz")
                self.assertEqual("ok\n", answer)
                self.assertEqual(0o600, stat.S_IMODE(path.stat().st_mode))
                await gateway.restarted()
            await deferToThread(gateway.stop)
            self.assertTrue(path.is_socket())

    async def visit(self, url: str) -> None:
        """Connect again and again; a refused connection is an error."""
        while self.keep_coming:
            client = await connect(url)
            self.came += 1
            await client.close()


class ServiceManagerTests(OwnPhpFpmTestCase):
    """What systemd hears, and when."""

    def setUp(self) -> None:
        self.manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(self.manager.close)
        self.manager.bind(str(self.directory / "notify"))
        self.manager.setblocking(False)

    def start_watched(self, *arguments: str, name: str | None = None) -> Gateway:
        return self.start_gateway(
            *arguments,
            env={
                "NOTIFY_SOCKET": name or str(self.directory / "notify"),
                "WATCHDOG_USEC": "1000000",
            },
        )

    def heard(self) -> list[str]:
        """The messages that have come."""
        messages = []
        while True:
            try:
                messages.append(self.manager.recv(4096).decode())
            except BlockingIOError:
                return messages

    async def hears(self, text: str) -> str:
        """The next message that has these words."""
        while True:
            for message in self.heard():
                if text in message:
                    return message
            await pause(0.02)

    async def test_its_life(self) -> None:
        """Ready once it can be connected to; then again and again; then stopping."""
        gateway = self.start_watched(*_NO_PHP)
        ready = await self.hears("READY=1")
        client = await self.connect(gateway.ws_url)
        self.assertIn("STATUS=0 clients are connected", ready)
        await self.hears("STATUS=1 clients are connected")
        for _ in range(3):
            await self.hears("WATCHDOG=1")
        gateway.signal(signal.SIGHUP)
        self.assertIn("MONOTONIC_USEC=", await self.hears("RELOADING=1"))
        await self.hears("READY=1")
        stopped = deferToThread(gateway.stop)
        self.assertIn("EXTEND_TIMEOUT_USEC=", await self.hears("STOPPING=1"))
        self.assertEqual(0, await stopped)
        self.assertEqual(1001, (await client.closed).code)

    async def test_it_hangs(self) -> None:
        """Then the watchdog is not fed."""
        gateway = self.start_watched(*_NO_PHP)
        await self.hears("WATCHDOG=1")
        gateway.signal(signal.SIGSTOP)
        await pause(0.2)
        self.heard()
        await pause(1.2)
        self.assertEqual([], self.heard())
        gateway.signal(signal.SIGCONT)
        await self.hears("WATCHDOG=1")

    async def test_feeds_to_the_end(self) -> None:
        """Stopping takes longer than the watchdog waits."""
        self.write({"websocket.php": "<?php sleep(2); echo 'done';"})
        self.gateway = self.start_watched(*self.upstream(), "--drain-timeout", "5s")
        await self.hears("READY=1")
        client = await self.connect(self.gateway.ws_url)
        client.send("x")
        while not await self.php_works():
            await pause(0.02)
        self.gateway.signal(signal.SIGTERM)
        await self.hears("STOPPING=1")
        for _ in range(2):
            self.assertNotIn("READY=1", await self.hears("WATCHDOG=1"))
        self.assertEqual("done", await client.receive())
        self.assertEqual(0, await deferToThread(self.gateway.wait))

    def upstream(self) -> list[str]:
        upstream = ["--php-script", str(self.document_root / "websocket.php"), "--php-workers", "2"]
        return [*upstream, "--php-user", "root"] if os.geteuid() == 0 else upstream

    async def test_php_fpm(self) -> None:
        """Ready means that PHP-FPM is, too; and PHP-FPM does not speak in the gateway's name."""
        self.write({"websocket.php": ECHO})
        slow = self.directory / "php-fpm"
        real = find(["php-fpm", "php-fpm8.2", "php-fpm8.4"], "php-fpm")
        slow.write_text(
            f'#!/bin/sh\ncase "$*" in *--test*) ;; *) sleep 1 ;; esac\nexec {real} "$@"\n'
        )
        slow.chmod(0o755)
        self.gateway = self.start_watched(*self.upstream(), "--php-fpm-binary", str(slow))
        self.assertNotIn("is ready, with", self.gateway.log)
        await self.hears("READY=1")
        self.assertIn("is ready, with", self.gateway.log)
        [master] = self.gateway.children()
        self.assertNotIn(b"NOTIFY_SOCKET", Path(f"/proc/{master}/environ").read_bytes())


class LimitTests(OwnPhpFpmTestCase):
    """File descriptors."""

    async def test_raised(self) -> None:
        """To the hard limit, for the gateway; PHP's workers have the usual one."""
        self.write({"websocket.php": "<?php echo `ulimit -n`;"})
        upstream = ["--php-script", str(self.document_root / "websocket.php")]
        if os.geteuid() == 0:
            upstream += ["--php-user", "root"]
        self.gateway = self._started(_Limited(self.directory / "gateway", *upstream))
        client = await self.connect(self.gateway.ws_url)
        client.send("x")
        self.assertEqual("500\n", await client.receive())
        self.assertIn("Up to 4000 file descriptors (from 500)", self.gateway.log)
        limits = Path(f"/proc/{self.gateway.pid}/limits").read_text()
        self.assertRegex(limits, r"Max open files +4000 +4000")


class _Limited(Gateway):
    """A gateway that is started with few file descriptors, and may have more."""

    def __init__(self, directory: Path, *arguments: str) -> None:
        super().__init__(directory, *arguments)
        prlimit = find(["prlimit"], "util-linux")
        self._arguments = [prlimit, "--nofile=500:4000", "--", *self._arguments]


class HangUpTests(SystemTestCase):
    """SIGHUP, where no port speaks TLS."""

    async def test_in_the_foreground(self) -> None:
        gateway = self.start_gateway(*_NO_PHP)
        client = await self.connect(gateway.ws_url)
        gateway.signal(signal.SIGHUP)
        while "nothing to read again" not in gateway.log:
            await pause(0.02)
        other = await self.connect(gateway.ws_url)
        for each in (client, other):
            self.assertEqual(1000, (await each.close()).code)

    async def test_token(self) -> None:
        """It is read again, and the old one is worth nothing any longer."""
        path = self.directory / "token"
        path.write_text("old")
        path.chmod(0o600)
        gateway = self.start_gateway(*_NO_PHP, "--api-token-file", str(path))

        async def status(token: str) -> str:
            bearer = f"Authorization: Bearer {token}"
            url = f"http://127.0.0.1:{gateway.port}/stats"
            return await curl("-o", "/dev/null", "-w", "%{http_code}", "-H", bearer, url)

        self.assertEqual(("200", "401"), (await status("old"), await status("new")))
        path.write_text("new")
        gateway.signal(signal.SIGHUP)
        while await status("new") != "200":
            await pause(0.02)
        self.assertEqual("401", await status("old"))

    async def test_as_a_daemon(self) -> None:
        """twistd without -n."""
        port, log, pidfile = free_port(), self.directory / "log", self.directory / "pid"
        listen = f"tcp:{port}:interface=127.0.0.1"
        twistd = (_TWISTD, f"--pidfile={pidfile}", f"--logfile={log}", "phpgw")
        started = await run([*twistd, "--listen", listen, *_NO_PHP], env=environment())
        self.assertEqual(0, started.status, started)
        pid = int(pidfile.read_text())
        self.addCleanup(self.kill, pid)
        # The parent does not wait until the reactor runs, and with it the signals' handlers.
        while not accepts(port) or _RUNS not in log.read_text():
            await pause(0.02)
        client = await self.connect(f"ws://127.0.0.1:{port}/ws")
        os.kill(pid, signal.SIGHUP)
        while "nothing to read again" not in log.read_text():
            await pause(0.02)
        os.kill(pid, signal.SIGTERM)
        self.assertEqual(1001, (await client.closed).code)
        while pidfile.exists():
            await pause(0.02)

    def kill(self, pid: int) -> None:
        if Path(f"/proc/{pid}/cmdline").exists():
            os.kill(pid, signal.SIGKILL)

    async def test_closed_terminal(self) -> None:
        """Whoever closes the terminal that it runs in has stopped it."""
        from twisted.internet import reactor

        port = free_port()
        command = [_TWISTD, "-n", "--pidfile=", "phpgw", "--listen", f"tcp:{port}", *_NO_PHP]
        terminal = _Terminal()
        reactor.spawnProcess(terminal, command[0], command, env=environment(), usePTY=True)
        self.addCleanup(terminal.kill)
        while _RUNS not in terminal.text:
            await pause(0.02)
        client = await self.connect(f"ws://127.0.0.1:{port}/ws")
        terminal.transport.loseConnection()
        self.assertEqual(1001, (await client.closed).code)
        await self.assertFailure(terminal.ended, ProcessDone)


class _Terminal(ProcessProtocol):
    """Somebody's terminal, in which the gateway runs."""

    transport: Any

    def __init__(self) -> None:
        self.text = ""
        self.ended: Deferred[None] = Deferred()

    def outReceived(self, data: bytes) -> None:
        self.text += data.decode()

    def processExited(self, reason: Failure) -> None:
        self.ended.errback(reason)

    def kill(self) -> None:
        if not self.ended.called:
            self.transport.signalProcess("KILL")


def _now() -> float:
    from twisted.internet import reactor

    now: float = reactor.seconds()
    return now
