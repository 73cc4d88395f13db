"""The files in deploy/: systemd and Nginx themselves say whether they are right."""

import json
import re
import shlex
import sys
from collections.abc import Mapping
from hashlib import md5
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from phpgw.settings import Settings
from tests.project.test_deploy_files import unit_values
from tests.support.certificate import make_certificate
from tests.support.real.command import Ended, run
from tests.support.real.curl import CurlError, curl
from tests.support.real.gateway import ROOT
from tests.support.real.process import Process, accepts, find, free_port
from tests.support.real.system_test_case import SystemTestCase
from tests.support.real.waiting import pause
from tests.support.real.websocket_client import Connection

_DEPLOY = ROOT / "deploy"
_UNITS = ("phpgw.service", "phpgw.socket")
_TOML = _DEPLOY / "phpgw.toml"
_FASTCGI = Path("/etc/nginx/fastcgi.conf")
_PROGRAM = "/opt/phpgw/bin/phpgw"

_DEFAULTS = Settings(php_url="http://localhost/")

# What systemd-analyze may make of the sandbox at most; 10 is a service without any.
_MOST_EXPOSED = 1.5

_SHORT = "proxy_read_timeout 1s"

_MIRROR = """<?php
echo json_encode(['message' => $_POST['message'], 'address' => $_SERVER['REMOTE_ADDR'],
    'https' => $_SERVER['HTTPS'] ?? '', 'cookie' => $_COOKIE['name'] ?? '']);
"""


def replaced(text: str, replacements: Mapping[str, str]) -> str:
    """The text with each of these replaced, all of which have to be there."""
    for old, new in replacements.items():
        assert old in text, f"{old!r} is not there to be replaced"
        text = text.replace(old, new)
    return text


def _pause(seconds: float) -> Deferred[None]:
    from twisted.internet import reactor

    return deferLater(reactor, seconds)


class UnitTests(TestCase):
    """The units, judged by systemd-analyze."""

    def setUp(self) -> None:
        self.program = find(["systemd-analyze"], "systemd")
        self.directory = Path(self.mktemp())
        self.directory.mkdir()
        for name in _UNITS:
            # It looks whether the programs are there.
            text = (_DEPLOY / name).read_text().replace(_PROGRAM, sys.executable)
            (self.directory / name).write_text(text)

    async def test_verify(self) -> None:
        """Both units are without fault."""
        paths = [str(self.directory / name) for name in _UNITS]
        ended = await run([self.program, "verify", "--recursive-errors=no", *paths])
        self.assertEqual(Ended(0, "", ""), ended)

    async def test_verify_finds_faults(self) -> None:
        """A fault would be found, in either of them."""
        for name in _UNITS:
            path = self.directory / name
            path.write_text(path.read_text() + "[Unit]\nNonsense=yes\n")
            ended = await run([self.program, "verify", "--recursive-errors=no", str(path)])
            self.assertIn("Nonsense", ended.stderr)

    async def test_security(self) -> None:
        """The sandbox is tight."""
        path = str(self.directory / "phpgw.service")
        ended = await run([self.program, "security", "--offline=yes", "--no-pager", path])
        level = re.search(r"Overall exposure level for phpgw\.service: ([0-9.]+)", ended.stdout)
        assert level is not None, ended
        self.assertLess(float(level[1]), _MOST_EXPOSED, ended.stdout)


class _Activated(Process):
    """What systemd does with the units: it listens, and runs the service once somebody comes.

    :param environment: of the service, where there is nothing else.
    """

    name = "activated"

    def __init__(self, directory: Path, environment: Mapping[str, str]) -> None:
        self.port = free_port()
        [command] = unit_values("phpgw.service", "Service", "ExecStart")
        settings = [f"--setenv={name}={value}" for name, value in environment.items()]
        super().__init__(
            directory,
            [
                find(["systemd-socket-activate"], "systemd"),
                f"--listen=127.0.0.1:{self.port}",
                "--fdname=phpgw.socket",
                *settings,
                *shlex.split(command.replace(_PROGRAM, f"{sys.executable} -m phpgw.cli")),
            ],
        )

    def is_ready(self) -> bool:
        return accepts(self.port)


class SocketTests(SystemTestCase):
    """The socket unit, and the endpoint that goes with it."""

    async def test_activation(self) -> None:
        """The gateway takes the port over, and knows its clients by their addresses."""
        self.assertEqual(["0.0.0.0:8080"], unit_values("phpgw.socket", "Socket", "ListenStream"))
        [line] = re.findall(r"^# +(listen = .*)$", (_DEPLOY / "phpgw.socket").read_text(), re.M)
        self.assertIn(f"\n#{line}\n", _TOML.read_text())
        configuration = self.directory / "phpgw.toml"
        configuration.write_text(re.sub(r"^listen = .*$", line, _TOML.read_text(), flags=re.M))
        activated = self._started(
            _Activated(
                self.directory / "activated",
                {"PHPGW_CONFIG": str(configuration), "PYTHONPATH": str(ROOT)},
            )
        )
        client = await self.connect(f"ws://127.0.0.1:{activated.port}/ws")
        while f"Client 127.0.0.1:{client.local_port} connected" not in activated.log:
            await pause(0.02)


class SiteTests(SystemTestCase):
    """The site of nginx.conf, with phpgw.toml and PHP-FPM."""

    def start_site(self, *arguments: str, changes: Mapping[str, str] | None = None) -> None:
        """Start all of it, the whole site being at :attr:`url`; pushes go to :attr:`send_url`.

        :param arguments: options of the gateway, beyond phpgw.toml.
        :param changes: what else to replace in nginx.conf.
        """
        assert _FASTCGI.exists(), f"{_FASTCGI} not found: apt-get install nginx-common"
        php = self.start_php({"websocket.php": _MIRROR, "index.php": "<?php echo 'front page';"})
        self.certificate = make_certificate(self.directory)
        self.http_port, https_port, self.internal_port = free_port(), free_port(), free_port()
        self.url = f"https://127.0.0.1:{https_port}"
        self.ws_url = f"wss://127.0.0.1:{https_port}/ws"
        php_url = f"http://127.0.0.1:{self.internal_port}/websocket.php"
        api_port = free_port()
        self.send_url = f"http://127.0.0.1:{api_port}/send"
        self.gateway = self.start_gateway(
            *("--php-url", php_url, "--api-listen", f"tcp:{api_port}:interface=127.0.0.1"),
            *arguments,
            env={"PHPGW_CONFIG": str(_TOML)},
        )
        gateway = {"127.0.0.1:8080": f"127.0.0.1:{self.gateway.port}"}
        snippet = replaced((_DEPLOY / "snippets" / "phpgw.conf").read_text(), gateway)
        text = replaced(
            (_DEPLOY / "nginx.conf").read_text(),
            {
                "listen 80;": f"listen 127.0.0.1:{self.http_port};",
                "listen 443 ssl;": f"listen 127.0.0.1:{https_port} ssl;",
                "listen [::]:80;": "",
                "listen [::]:443 ssl;": "",
                "include snippets/phpgw.conf;": snippet,
                "127.0.0.1:8088": f"127.0.0.1:{self.internal_port}",
                "/etc/letsencrypt/live/example.com/fullchain.pem": str(self.certificate.path),
                "/etc/letsencrypt/live/example.com/privkey.pem": str(self.certificate.key_path),
                "/var/www/html": str(self.document_root),
                "unix:/run/php/php-fpm.sock": php.fastcgi_pass,
                "include fastcgi.conf": f"include {_FASTCGI}",
            },
        )
        self.start_nginx(http=replaced(text, changes or {}))

    def open(self, **options: Any) -> Deferred[Connection]:
        """A browser's connection."""
        return self.connect(self.ws_url, certificate=self.certificate.path, **options)

    async def status(self, path: str, *arguments: str) -> int:
        """How the public server answers a request, whose path is sent as it is."""
        trust = ("--cacert", str(self.certificate.path), "--path-as-is")
        show = ("--output", "/dev/null", "--write-out", "%{http_code}")
        return int(await curl(*trust, *show, *arguments, self.url + path))

    async def test_message(self) -> None:
        """A message goes to PHP as the browser's own, and PHP's answer comes back."""
        self.start_site()
        client = await self.open(origin=self.url, headers={"Cookie": "name=value"})
        client.send("hello")
        self.assertEqual(
            {"message": "hello", "address": "127.0.0.1", "https": "on", "cookie": "value"},
            json.loads(await client.receive()),
        )

    async def test_address(self) -> None:
        """PHP's REMOTE_ADDR is what the gateway reports, not the gateway's own address."""
        self.start_site()
        client = await self.connect(self.gateway.ws_url, local_host="127.0.0.2")
        client.send("hello")
        self.assertEqual("127.0.0.2", json.loads(await client.receive())["address"])

    async def test_largest_message(self) -> None:
        """PHP gets the largest message that the gateway takes, though three times as long."""
        self.start_site()
        self.write({"websocket.php": "<?php echo md5($_POST['message']);"})
        message = bytes(range(256)) * (_DEFAULTS.max_message_size // 256)
        client = await self.open()
        client.send(message)
        self.assertEqual(md5(message).hexdigest().encode(), await client.receive())

    async def test_quiet_client(self) -> None:
        """Pings keep a connection that is silent for longer than Nginx waits."""
        pings = ("--ping-interval", "300ms", "--ping-timeout", "0")
        self.start_site(*pings, changes={"proxy_read_timeout 90s": _SHORT})
        client = await self.open()
        await _pause(2)
        client.send("still here")
        self.assertEqual("still here", json.loads(await client.receive())["message"])

    async def test_quiet_client_without_pings(self) -> None:
        """Without pings, Nginx cuts it."""
        self.start_site("--ping-interval", "0", changes={"proxy_read_timeout 90s": _SHORT})
        client = await self.open()
        self.assertFalse((await client.closed).was_clean)

    async def test_no_pushes(self) -> None:
        """The API is out of reach from outside, whatever the path; PHP finds it where it is."""
        self.start_site()
        client = await self.open()
        client.send("hello")
        await client.receive()
        [client_id] = re.findall(r"Client (\S+) connected", self.gateway.log)
        push = ("--data", f"client_id={client_id}&message=pushed")
        for path in ("/send", "/stats", "/healthz", "/ws/../send", "//send", "/ws/send"):
            self.assertIn(await self.status(path, *push), (404, 405), path)
            self.assertEqual(404, await self.status(path), path)
        # To the gateway it is /ws, and no push.
        self.assertEqual(405, await self.status("/send/../ws", *push))
        self.assertEqual("Message sent", await curl(*push, self.send_url))
        self.assertEqual("pushed", await client.receive())

    async def test_no_forgery(self) -> None:
        """Nobody outside can post to the script that answers messages; other scripts run."""
        self.start_site()
        event = ("--data", "type=server&message=forged&client_id=127.0.0.1:1")
        for path in (
            "/websocket.php",
            "/websocket.php/more",
            "/websocket.php?type=server",
            "//websocket.php",
            "/ws/../websocket.php",
            "/%77ebsocket.php",
            "/index.php/../websocket.php",
        ):
            self.assertEqual(404, await self.status(path, *event), path)
            self.assertEqual(404, await self.status(path), path)
        self.assertEqual(200, await self.status("/"))

    async def test_no_forgery_by_path(self) -> None:
        """Not even where PHP is given paths that go on behind a script's name."""
        path_info = {
            r"location ~ \.php$": r"location ~ \.php(/|$)",
            "try_files $uri =404;": r"fastcgi_split_path_info ^(.+?\.php)(/.*)$;",
        }
        self.start_site(changes=path_info)
        self.assertEqual(200, await self.status("/index.php/more"))
        self.assertEqual(404, await self.status("/websocket.php/more", "--data", "message=forged"))

    async def test_internal_server(self) -> None:
        """The internal server has that script alone, and is on 127.0.0.1 alone."""
        self.start_site()
        internal = f"http://127.0.0.1:{self.internal_port}"
        self.assertIn("message", await curl("--data", "message=x", f"{internal}/websocket.php"))
        self.assertIn("404 Not Found", await curl(f"{internal}/index.php"))
        elsewhere = curl(f"http://127.0.0.2:{self.internal_port}/websocket.php")
        error = await self.assertFailure(elsewhere, CurlError)
        self.assertIn("connect", str(error))

    async def test_redirect(self) -> None:
        """Who comes without TLS is sent to where it is."""
        self.start_site()
        location = await curl(
            *("--output", "/dev/null", "--write-out", "%{redirect_url}"),
            *("--header", "Host: example.com", f"http://127.0.0.1:{self.http_port}/page?a=b"),
        )
        self.assertEqual("https://example.com/page?a=b", location)
