"""The log of a real gateway: in all formats, from the first line to the last."""

import json
import sys
from pathlib import Path

from twisted.internet.threads import deferToThread

from tests.support.real.gateway import environment
from tests.support.real.process import Process, accepts, free_port
from tests.support.real.system_test_case import SystemTestCase

_SERVE = (sys.executable, "-m", "phpgw.cli", "serve")
_TWISTD = (str(Path(sys.executable).with_name("twistd")), "-n", "--pidfile=", "phpgw")
# As systemd does: device and inode of what the standard error is connected to.
_AS_A_SERVICE = 'export JOURNAL_STREAM=$(stat -Lc %d:%i /dev/stderr); exec "$@"'


class LoggingGateway(Process):
    """A gateway that is started by this command line."""

    name = "gateway"
    stop_timeout = 20.0

    def __init__(self, directory: Path, *command: str) -> None:
        self.port = free_port()
        listen = ("--php-url", "http://127.0.0.1:1/", "--listen", f"127.0.0.1:{self.port}")
        super().__init__(directory, [*command, *listen], env=environment())

    def is_ready(self) -> bool:
        return accepts(self.port)


class LogTests(SystemTestCase):
    async def lines(self, *command: str) -> list[str]:
        """Return the lines of a gateway that is started, connected to, and stopped."""
        gateway = self._started(LoggingGateway(self._directory_for("gateway"), *command))
        client = await self.connect(f"ws://127.0.0.1:{gateway.port}/ws")
        self.client_port = client.local_port
        self.assertEqual(0, await deferToThread(gateway.stop))
        await client.closed
        lines = gateway.log.splitlines()
        self.assertTrue(any("browsers connect to /ws" in line for line in lines), gateway.log)
        return lines

    async def test_text(self) -> None:
        """Each line has time, level and logger, those of twistd too."""
        for command in (_SERVE, _TWISTD):
            for line in await self.lines(*command):
                self.assertRegex(line, r"\A\d{4}-\d\d-\d\dT\S+ (info |warn |error) [\w.]+: \S")

    async def test_json(self) -> None:
        """Each line is an object, those of twistd too."""
        for command in (_SERVE, _TWISTD):
            lines = await self.lines(*command, "--log-format", "json")
            found = [json.loads(line) for line in lines]
            for line in found:
                self.assertIn(line["level"], ("info", "warn", "error"))
            ids = {line["client_id"] for line in found if "client_id" in line}
            self.assertEqual({f"127.0.0.1:{self.client_port}"}, ids)

    async def test_journal(self) -> None:
        """For systemd, each line has its priority, and no time."""
        for log_format, rest in (("text", r"[\w.]+: "), ("json", r'\{"timestamp"')):
            command = ("sh", "-c", _AS_A_SERVICE, "sh", *_SERVE, "--log-format", log_format)
            for line in await self.lines(*command):
                self.assertRegex(line, rf"\A<[346]>{rest}")

    async def test_level(self) -> None:
        gateway = LoggingGateway(self.directory / "gateway", *_SERVE, "--log-level", "error")
        self._started(gateway)
        self.assertEqual(0, await deferToThread(gateway.stop))
        self.assertNotIn(" info ", gateway.log)
