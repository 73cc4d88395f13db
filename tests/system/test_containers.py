"""The files in deploy/docker and deploy/kubernetes, judged by the tools of that world, and run.

The image itself is built and run by ``make test-packages``.
"""

import json
import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from tests.support.container_files import (
    COMPOSE,
    DOCKER,
    DOCKERFILE,
    KUBERNETES,
    compose_service,
    health_command,
    image_command,
    image_environment,
    ini_settings,
)
from tests.support.real.command import Ended, run
from tests.support.real.curl import curl
from tests.support.real.gateway import ROOT, environment
from tests.support.real.process import Process, accepts, find, free_port
from tests.support.real.system_test_case import SystemTestCase
from tests.support.real.websocket_client import Connection, HandshakeFailed

_CHAT = ROOT / "examples" / "chat"


def beside_python(name: str) -> str:
    """Return the path of a program that came with a Python package."""
    return str(Path(sys.executable).with_name(name))


def replaced_all(text: str, replacements: Mapping[str, object]) -> str:
    """Return the text with these replaced in one pass: what is put in stays as it is."""
    olds = "|".join(re.escape(old) for old in replacements)
    return re.sub(olds, lambda found: str(replacements[found[0]]), text)


class LintTests(TestCase):
    async def test_dockerfile(self) -> None:
        """hadolint has nothing to complain about."""
        ended = await run([beside_python("hadolint"), "--no-color", str(DOCKERFILE)])
        self.assertEqual(Ended(0, "", ""), ended)

    async def test_compose_file(self) -> None:
        """It follows the schema of the Compose specification."""
        check = [beside_python("check-jsonschema"), "--builtin-schema", "vendor.compose-spec"]
        ended = await run([*check, str(COMPOSE)])
        self.assertEqual((0, ""), (ended.status, ended.stderr), ended.stdout)

    async def test_manifests(self) -> None:
        """They follow the schemas of Kubernetes, of the oldest version that they need, too."""
        paths = [str(path) for path in sorted(KUBERNETES.glob("*.yaml"))]
        self.assertGreater(len(paths), 4)
        check = [beside_python("kubernetes-validate"), "--strict", "--quiet"]
        for version in ([], ["--kubernetes-version", "1.29"]):
            self.assertEqual(Ended(0, "", ""), await run([*check, *version, *paths]))

    async def test_faults_are_found(self) -> None:
        """Keys that do not exist would be found."""
        path = Path(self.mktemp())
        path.write_text(COMPOSE.read_text().replace("read_only:", "readonly:"))
        check = [beside_python("check-jsonschema"), "--builtin-schema", "vendor.compose-spec"]
        self.assertEqual(1, (await run([*check, str(path)])).status)
        path = path.with_suffix(".yaml")
        path.write_text((KUBERNETES / "gateway.yaml").read_text().replace("fsGroup", "fsgroup"))
        ended = await run([beside_python("kubernetes-validate"), "--strict", str(path)])
        self.assertEqual(1, ended.status)


class _Gateway(Process):
    """The command of the image.

    :param settings: all of the gateway's variables.
    """

    name = "gateway"
    stop_timeout = 20.0

    def __init__(self, directory: Path, port: int, settings: Mapping[str, str]) -> None:
        self._port = port
        inherited = environment()
        path = os.pathsep.join((str(Path(sys.executable).parent), inherited["PATH"]))
        self.environment = {**inherited, "PATH": path, **settings}
        super().__init__(directory, image_command(), env=self.environment)

    def is_ready(self) -> bool:
        return accepts(self._port)


class _Nginx(Process):
    """Nginx with exactly this configuration."""

    name = "nginx"

    def __init__(self, directory: Path, port: int, text: str) -> None:
        self._configuration = directory / "nginx.conf"
        self._text = text
        self._port = port
        where = ["-e", "stderr", "-p", str(directory), "-c", str(self._configuration)]
        super().__init__(directory, [find(["nginx"], "nginx-light"), *where, "-g", "daemon off;"])

    def configure(self) -> None:
        self._configuration.write_text(self._text)

    def is_ready(self) -> bool:
        return bool(self.children()) and accepts(self._port)


class ComposeTests(SystemTestCase):
    """The three services as processes; names and paths are those of this machine instead."""

    def start(self) -> None:
        token = self.directory / "token"
        token.write_text("secret\n")
        self.port, gateway_port, api_port = free_port(), free_port(), free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.api = f"http://127.0.0.1:{api_port}"
        api = {"http://phpgw:8081": self.api, "/run/secrets/token": token}

        ini = ini_settings(DOCKER / "php.ini")
        del ini["session.save_path"]
        ini = {name: replaced_all(text, api) for name, text in ini.items()}
        php = self.start_php(socket="tcp", workers=16, ini=ini)
        here = {
            **api,
            "php:9000": php.fastcgi_pass,
            "/srv/examples/chat": _CHAT,
            "10.213.77.0/24": "127.0.0.1",
        }
        texts = compose_service("phpgw")["environment"]
        settings = {
            **{name: replaced_all(str(text), here) for name, text in texts.items()},
            "PHPGW_LISTEN": f"tcp:{gateway_port}:interface=127.0.0.1",
            "PHPGW_API_LISTEN": f"tcp:{api_port}:interface=127.0.0.1",
        }
        assert set(image_environment()) - {"PATH", "PYTHONDONTWRITEBYTECODE"} <= set(settings)
        directory = self.directory / "gateway"
        self.gateway = self._started(_Gateway(directory, gateway_port, settings))

        nginx = {
            **here,
            "phpgw:8080": f"127.0.0.1:{gateway_port}",
            "listen 8000": f"listen 127.0.0.1:{self.port}",
            "/tmp/": f"{self.directory}/nginx/",
            "worker_processes auto": f"{'user root root; ' if os.getuid() == 0 else ''}"
            "worker_processes 1",
        }
        text = replaced_all((DOCKER / "nginx.conf").read_text(), nginx)
        self._started(_Nginx(self.directory / "nginx", self.port, text))

    async def status(self, command: list[str]) -> int:
        """Return how a command ends in the gateway's container."""
        return (await run(command, env=self.gateway.environment)).status

    async def log_in(self, name: str) -> str:
        """Return the cookie of a new session."""
        jar = self.directory / name
        form = ("-d", f"nickname={name}", self.url + "/login.php")
        status = await curl("-c", str(jar), "-o", "/dev/null", "-w", "%{http_code}", *form)
        self.assertEqual("303", status)
        return f"chat={jar.read_text().split()[-1]}"

    async def enter(self, cookie: str) -> Connection:
        """Return a connection to a room."""
        url = f"ws://127.0.0.1:{self.port}/ws?room=Lounge"
        return await self.connect(url, origin=self.url, headers={"Cookie": cookie})

    async def heard(self, client: Connection, event: str) -> dict[str, Any]:
        """Return the next message of a kind."""
        while True:
            message: dict[str, Any] = json.loads(await client.receive())
            if message["event"] == event:
                return message

    async def test_chat(self) -> None:
        """Nginx, gateway and PHP work together: sessions, messages, timers, and pushes."""
        self.start()
        with self.assertRaises(HandshakeFailed) as refused:
            await self.enter("chat=nobody")
        self.assertEqual(401, refused.exception.status)
        cookie = await self.log_in("Ada")
        client = await self.enter(cookie)
        client.send(json.dumps({"do": "say", "text": "hello", "ref": "1"}))
        self.assertEqual("hello", (await self.heard(client, "said"))["text"])
        await self.heard(client, "clock")
        page = await curl("-b", cookie, "-d", "message=pushed", f"{self.url}/push.php?room=Lounge")
        self.assertIn("Windows that have it: 1", page)

    async def test_health(self) -> None:
        """The gateway is healthy while it runs, even if it is not ready; then it is not."""
        self.start()
        self.assertEqual(0, await self.status(health_command()))
        await curl("-X", "POST", "-H", "Authorization: Bearer secret", f"{self.api}/hold")
        self.assertEqual(1, await self.status(["phpgw", "status"]))
        self.assertEqual(0, await self.status(health_command()))
        await deferToThread(self.gateway.stop)
        self.assertEqual(1, await self.status(health_command()))
