"""Starting, and starting again after whatever has happened: one line if it fails, and no trace."""

import os
import signal
import socket
import sys
from pathlib import Path
from unittest import SkipTest

from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread

from tests.support.real.command import Ended, run
from tests.support.real.curl import curl
from tests.support.real.gateway import environment
from tests.support.real.process import Process, accepts, find, free_port
from tests.support.real.process_table import descendants
from tests.support.real.system_test_case import SystemTestCase
from tests.support.real.upstreams import OwnPhpFpmTestCase
from tests.support.real.waiting import pause

_TWISTD = str(Path(sys.executable).with_name("twistd"))
_PHPGW = (sys.executable, "-m", "phpgw.cli")
_NO_PHP = ("--php-url", "http://127.0.0.1:1/")


class Started(Process):
    """A gateway, by this command line."""

    name = "started"
    stop_timeout = 20.0

    def __init__(self, directory: Path, port: int, *command: str) -> None:
        self.port = port
        super().__init__(directory, command, env=environment())

    def is_ready(self) -> bool:
        return accepts(self.port)


class BackgroundTests(SystemTestCase):
    """twistd without -n."""

    def twistd(self, *arguments: str) -> Deferred[Ended]:
        """Run it in a directory of its own; a shell that waits for ever fails the test."""
        self.here = self.directory / "here"
        self.here.mkdir(exist_ok=True)
        return run([_TWISTD, *arguments], env=environment(), directory=self.here, timeout=20)

    async def started(self, *arguments: str) -> int:
        """The id of the process that has gone into the background."""
        ended = await self.twistd(*arguments)
        self.assertEqual(Ended(0, "", ""), ended)
        pid = int((self.here / "twistd.pid").read_text())
        self.addCleanup(self.kill, pid)
        return pid

    def kill(self, pid: int) -> None:
        if Path(f"/proc/{pid}").exists():
            os.kill(pid, signal.SIGKILL)

    async def test_port_taken(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            for listen in (f"127.0.0.1:{port}", f"{port}"):
                ended = await self.twistd("phpgw", *_NO_PHP, "--listen", listen)
                [line] = (ended.stdout + ended.stderr).splitlines()
                self.assertEqual(1, ended.status)
                self.assertRegex(line, rf"^phpgw: --listen: cannot listen on .*{port}.* in use$")
            # The socket is there before it is known that the port is not free.
            await self.twistd("phpgw", *_NO_PHP, "--listen", "/proc/self/cwd/x", "--listen", listen)
        self.assertEqual([], list(self.here.iterdir()))

    async def test_killed(self) -> None:
        """What it leaves is in nobody's way; a second one in its place is told whose it is."""
        path = self.directory / "socket"
        arguments = ("phpgw", *_NO_PHP, "--listen", str(path))
        pid = await self.started(*arguments)
        ended = await self.twistd(*arguments)
        [line] = (ended.stdout + ended.stderr).splitlines()
        self.assertIn(f"another gateway runs already, process {pid}", line)
        os.kill(pid, signal.SIGKILL)
        while Path(f"/proc/{pid}").exists():
            await pause(0.02)
        # Its number is another's by now.
        (self.here / "twistd.pid").write_text(str(os.getpid()))
        again = await self.started(*arguments)
        self.assertEqual("ok\n", await curl("--unix-socket", str(path), "http://localhost/healthz"))
        os.kill(again, signal.SIGTERM)
        while Path(f"/proc/{again}").exists():
            await pause(0.02)
        self.assertEqual(["twistd.log"], [each.name for each in self.here.iterdir()])
        self.assertFalse(path.exists())

    async def test_log_rotated(self) -> None:
        pid = await self.started("phpgw", *_NO_PHP, "--listen", str(self.directory / "socket"))
        log, moved = self.here / "twistd.log", self.here / "twistd.log.1"
        while "browsers connect" not in log.read_text():
            await pause(0.02)
        await pause(0.2)
        for number in (signal.SIGHUP, signal.SIGUSR1):
            log.rename(moved)
            os.kill(pid, number)
            while not (log.exists() and "opened anew" in log.read_text()):
                await pause(0.02)


class ForegroundTests(SystemTestCase):
    async def test_serve(self) -> None:
        """It logs to the standard error, and leaves nothing behind."""
        here = self.directory / "here"
        port = free_port()
        listen = ("--listen", f"127.0.0.1:{port}")
        gateway = self._started(Started(here, port, *_PHPGW, "serve", *_NO_PHP, *listen))
        client = await self.connect(f"ws://127.0.0.1:{port}/ws")
        self.assertEqual(0, await deferToThread(gateway.stop))
        self.assertEqual(1001, (await client.closed).code)
        self.assertIn("browsers connect to /ws", gateway.log)
        self.assertEqual(["started.log"], [each.name for each in here.iterdir()])

    async def test_both_families(self) -> None:
        """A port alone is open on IPv6, too; an IPv4 address is written as ever."""
        if not socket.has_dualstack_ipv6():
            raise SkipTest("there is no IPv6 here")
        port = free_port()
        command = (*_PHPGW, "serve", *_NO_PHP, "--listen", str(port))
        self._started(Started(self.directory / "here", port, *command))
        client = await self.connect(f"ws://127.0.0.1:{port}/ws")
        push = f"message=hello&client_id=127.0.0.1:{client.local_port}"
        for host in ("127.0.0.1", "[::1]"):
            url = f"http://{host}:{port}/send"
            self.assertEqual("Message sent", await curl("--globoff", "-d", push, url))
            self.assertEqual("hello", await client.receive())

    async def test_port_taken(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            listen = ("--listen", f"127.0.0.1:{taken.getsockname()[1]}")
            ended = await run([*_PHPGW, "serve", *_NO_PHP, *listen], env=environment())
        self.assertEqual((1, ""), (ended.status, ended.stdout))
        self.assertRegex(ended.stderr, r"^phpgw: --listen: cannot listen on .* in use\n$")


class ContainerTests(OwnPhpFpmTestCase):
    """The first process of a container, which is the first again after each start."""

    def start_contained(self, *command: str) -> Started:
        """Start it with ids of its own for processes."""
        self.write({"websocket.php": "<?php sleep(30);"})
        unshare = (find(["unshare"], "util-linux"), "--pid", "--fork", "--kill-child")
        port = free_port()
        upstream = ("--php-script", str(self.document_root / "websocket.php"), "--php-user", "root")
        listen = ("--listen", f"127.0.0.1:{port}", "--listen", str(self.directory / "socket"))
        here = self.directory / "here"
        return self._started(Started(here, port, *unshare, *command, *upstream, *listen))

    def first(self, started: Started) -> int:
        """Its id outside."""
        return min(descendants(started.pid)).pid

    async def end(self, started: Started, number: int) -> None:
        os.kill(self.first(started), number)
        await deferToThread(started.wait)

    async def test_killed_and_started_again(self) -> None:
        for command in ((*_PHPGW, "serve"), (_TWISTD, "-n", "phpgw")):
            for _ in range(2):
                await self.end(self.start_contained(*command), signal.SIGKILL)
        self.assertEqual([], list((self.directory / "here").glob("*.pid")))

    async def test_second_signal(self) -> None:
        started = self.start_contained(*_PHPGW, "serve")
        client = await self.connect(f"ws://127.0.0.1:{started.port}/ws")
        client.send("never answered")
        await pause(0.5)
        os.kill(self.first(started), signal.SIGTERM)
        while "Stopping" not in started.log:
            await pause(0.02)
        await self.end(started, signal.SIGTERM)
        self.assertNotIn("Server Shut Down", started.log)
