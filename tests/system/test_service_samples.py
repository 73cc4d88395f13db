"""The printed units, judged by systemd itself, and the program that Supervisor runs."""

import ctypes
import json
import os
import re
import shlex
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from twisted.trial.unittest import SkipTest, TestCase

from tests.support.certificate import make_certificate
from tests.support.real.command import Ended, run
from tests.support.real.gateway import environment
from tests.support.real.process import Process, accepts, find, free_port, wait_until
from tests.support.real.samples import missing_lines, printed
from tests.support.real.system_test_case import SystemTestCase

_PHPGW = Path(sys.executable).with_name("phpgw")
_URL = ("--php-url", "http://127.0.0.1:8088/websocket.php")
# What systemd-analyze may make of the sandbox at most; 10 is a service without any.
_MOST_EXPOSED = 1.5
# prctl(2)
_SET_MDWE, _GET_MDWE, _REFUSE_EXEC_GAIN = 65, 66, 1
_WITHOUT_NEW_CODE = f"""\
import ctypes, os, sys
assert not ctypes.CDLL(None).prctl({_SET_MDWE}, {_REFUSE_EXEC_GAIN}, 0, 0, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""


def values(unit: str, key: str) -> list[str]:
    """What a unit says under this key."""
    return re.findall(rf"^{key}=(.*)$", unit, re.MULTILINE)


class UnitTests(TestCase):
    """The units, judged by systemd-analyze."""

    def setUp(self) -> None:
        self.program = find(["systemd-analyze"], "systemd")
        self.directory = Path(self.mktemp())
        self.directory.mkdir()

    async def write(self, *arguments: str) -> None:
        """Write what is printed with these options."""
        for name, more in (("service", ()), ("socket", ("--socket",))):
            # It looks whether the program is there.
            text = await printed("systemd", "--program", sys.executable, *more, *arguments)
            (self.directory / f"phpgw.{name}").write_text(text)

    async def verify(self) -> Ended:
        paths = [str(self.directory / f"phpgw.{name}") for name in ("service", "socket")]
        return await run([self.program, "verify", "--recursive-errors=no", *paths])

    async def exposure(self) -> float:
        path = str(self.directory / "phpgw.service")
        ended = await run([self.program, "security", "--offline=yes", "--no-pager", path])
        level = re.search(r"Overall exposure level for phpgw\.service: ([0-9.]+)", ended.stdout)
        assert level is not None, ended
        return float(level[1])

    async def test_units(self) -> None:
        """They are without fault, and the sandbox is tight."""
        secret = self.directory / "100% secret"
        secret.write_text("s3cret")
        for arguments in (
            ("--php-url", "https://php.example/w.php"),
            (
                *(*_URL, "--listen", "/run/phpgw/phpgw.sock", "--api-listen", "127.0.0.1:8081"),
                *("--api-token-file", str(secret), "--error-reply", '100% "$HOME" \\n; #{}'),
            ),
        ):
            await self.write(*arguments)
            self.assertEqual(Ended(0, "", ""), await self.verify())
            self.assertLess(await self.exposure(), _MOST_EXPOSED)

    async def test_exceptions(self) -> None:
        """They are without fault, too, where the gateway needs more than usual."""
        files = "privateKey=/etc/k.pem:certKey=/home/c.pem"
        for arguments in (
            ("--php-script", "/srv/app/w.php"),
            (
                *("--php-script", "/w.php", "--php-fpm", "/tmp/fpm.sock"),
                *("--listen", "80", "--listen", f"ssl:443:{files}"),
            ),
        ):
            await self.write(*arguments)
            self.assertEqual(Ended(0, "", ""), await self.verify())

    async def test_verify_finds_faults(self) -> None:
        """A fault would be found, in either of them."""
        await self.write(*_URL)
        for name in ("service", "socket"):
            path = self.directory / f"phpgw.{name}"
            path.write_text(path.read_text() + "[Unit]\nNonsense=yes\n")
        self.assertEqual(2, (await self.verify()).stderr.count("Nonsense"))


class ServiceTestCase(SystemTestCase):
    """A gateway that a service manager starts."""

    def configure(self) -> None:
        """Write a configuration, with PHP behind it."""
        php = self.start_php({"websocket.php": "<?php echo $_POST['message'];"})
        self.port = free_port()
        self.config = self.directory / "phpgw.toml"
        settings = {
            "php-script": str(self.document_root / "websocket.php"),
            "php-fpm": php.endpoint,
            "listen": f"127.0.0.1:{self.port}",
        }
        lines = [f"{name} = {json.dumps(value)}\n" for name, value in settings.items()]
        self.config.write_text("".join(lines))

    def listen(self, line: str) -> None:
        """Change where the configuration lets the gateway listen."""
        text = re.sub(r"^listen = .*$", line, self.config.read_text(), flags=re.MULTILINE)
        self.config.write_text(text)

    async def assert_echoes(self, message: str, **options: Path) -> None:
        scheme = "wss" if options else "ws"
        client = await self.connect(f"{scheme}://127.0.0.1:{self.port}/ws", **options)
        client.send(message)
        self.assertEqual(message, await client.receive())

    async def unit(self, *arguments: str) -> str:
        program = ("--program", str(_PHPGW))
        return await printed("systemd", "--config", str(self.config), *program, *arguments)


class _Started(Process):
    """A command that listens on a port in the end."""

    def __init__(self, directory: Path, name: str, port: int, command: Sequence[str]) -> None:
        self.name = name
        super().__init__(directory, command, env=environment())
        self._port = port

    def is_ready(self) -> bool:
        return accepts(self._port)


class SystemdTests(ServiceTestCase):
    """The commands of the units."""

    async def test_activation(self) -> None:
        """systemd's socket is taken over, and clients are known by their addresses."""
        self.configure()
        socket = await self.unit("--socket")
        self.assertEqual([f"127.0.0.1:{self.port}"], values(socket, "ListenStream"))
        [line] = missing_lines(socket)
        self.listen(line)
        [command] = values(await self.unit(), "ExecStart")
        activate = find(["systemd-socket-activate"], "systemd")
        # The environment of the service is what is set here, and nothing else.
        own = f"--setenv=PYTHONPATH={environment()['PYTHONPATH']}"
        streams = [f"--listen={each}" for each in values(socket, "ListenStream")]
        words = [activate, *streams, "--fdname=phpgw.socket", own, *shlex.split(command)]
        self._started(_Started(self.directory / "activated", "activated", self.port, words))
        await self.assert_echoes("hello")

    async def test_no_new_code(self) -> None:
        """The gateway works, with TLS, too, where memory is never writable and executable."""
        if ctypes.CDLL(None).prctl(_GET_MDWE, 0, 0, 0, 0):
            raise SkipTest("the kernel cannot forbid it")
        made = make_certificate(self.directory)
        self.configure()
        files = f"privateKey={made.key_path}:certKey={made.path}"
        endpoint = f"ssl:{self.port}:interface=127.0.0.1:{files}"
        text = re.sub(
            "^listen = .*$", f'listen = "{endpoint}"', self.config.read_text(), flags=re.M
        )
        self.config.write_text(text)
        unit = await self.unit()
        self.assertEqual(["yes"], values(unit, "MemoryDenyWriteExecute"))
        [command] = values(unit, "ExecStart")
        words = [sys.executable, "-c", _WITHOUT_NEW_CODE, *shlex.split(command)]
        self._started(_Started(self.directory / "gateway", "gateway", self.port, words))
        await self.assert_echoes("hello", certificate=made.path)


class SupervisorTests(ServiceTestCase):
    """The program, under a real Supervisor."""

    async def start(self, *arguments: str) -> Process:
        """Start a gateway with these options."""
        self.configure()
        user = "root" if os.getuid() == 0 else os.environ["USER"]
        where = ("--config", str(self.config), "--program", str(_PHPGW), "--user", user)
        text = await printed("supervisor", *where, *arguments)
        directory = self.directory / "supervisor"
        directory.mkdir()
        [log] = values(text, "stdout_logfile")
        here = "/dev/stdout\nstdout_logfile_maxbytes=0"
        (directory / "phpgw.conf").write_text(text.replace(log, here))
        (directory / "supervisord.conf").write_text(
            f"[supervisord]\nnodaemon=true\nlogfile=/dev/null\nlogfile_maxbytes=0\n"
            f"pidfile={directory}/pid\nuser={user}\n[include]\nfiles=phpgw.conf\n"
        )
        words = [find(["supervisord"], "supervisor"), "-c", str(directory / "supervisord.conf")]
        return self._started(_Started(directory, "supervisord", self.port, words))

    async def test_program(self) -> None:
        """It runs with whatever an option contains, and is started again when it was killed."""
        hostile = '100% ;# "$HOME" it\'s \\n'
        supervisor = await self.start("--on-error", "reply", "--error-reply", hostile)
        await self.assert_echoes("hello")
        [first] = supervisor.children()
        words = Path(f"/proc/{first}/cmdline").read_bytes().split(b"\0")
        self.assertIn(hostile.encode(), words)
        os.kill(first, signal.SIGKILL)
        wait_until(
            lambda: supervisor.children() not in ([], [first]) and accepts(self.port),
            10,
            "another gateway",
        )
        await self.assert_echoes("again")
