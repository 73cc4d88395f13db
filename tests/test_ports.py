"""Ports that the gateway does not open as usual."""

import sys
from pathlib import Path

from tests.real.gateway import Gateway
from tests.real.process import find
from tests.real.roads import ECHO, HttpRoad


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


class ListeningTests(HttpRoad):
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
