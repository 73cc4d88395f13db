"""The printed whole sites, each with its PHP, run by the real server."""

import json
import re
from collections.abc import Mapping
from hashlib import md5
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from phpgw.settings import Settings
from tests.support.certificate import make_certificate
from tests.support.real.curl import CurlError, curl
from tests.support.real.gateway import Gateway
from tests.support.real.process import free_port
from tests.support.real.proxies import ApacheSite, CaddySite, HaProxySite
from tests.support.real.samples import printed
from tests.support.real.system_test_case import SystemTestCase
from tests.support.real.websocket_client import Connection

_FASTCGI = Path("/etc/nginx/fastcgi.conf")
_NAME = "127.0.0.1"
_DEFAULTS = Settings(php_url="http://localhost/")
_MIRROR = """<?php
echo json_encode(['message' => $_POST['message'], 'address' => $_SERVER['REMOTE_ADDR'],
    'https' => $_SERVER['HTTPS'] ?? '', 'cookie' => $_COOKIE['name'] ?? '']);
"""
_EVENT = ("--data", "type=server&message=forged&client_id=127.0.0.1:1")


def replaced(text: str, replacements: Mapping[str, str]) -> str:
    """The text with each of these replaced, all of which have to be there."""
    for old, new in replacements.items():
        assert old in text, f"{old!r} is not there to be replaced"
        text = text.replace(old, new)
    return text


def _pause(seconds: float) -> Deferred[None]:
    from twisted.internet import reactor

    return deferLater(reactor, seconds)


class SiteTestCase(SystemTestCase):
    """A whole site: a proxy with PHP, and the gateway."""

    server: str
    gateway: Gateway

    def start_server(self, site: str, changes: Mapping[str, str]) -> None:
        """Start the proxy with a printed site, but for these changes."""
        raise NotImplementedError

    async def start_site(self, *arguments: str, changes: Mapping[str, str] | None = None) -> None:
        """Start all of it, the site being at :attr:`url`; pushes go to :attr:`send_url`.

        :param arguments: further options of the gateway.
        :param changes: what else to replace in the sample.
        """
        # Apache leaves root's rights.
        self.directory.chmod(0o711)
        scripts = {"websocket.php": _MIRROR, "index.php": "<?php echo 'front page';"}
        self.php = self.start_php(scripts, pool={"listen.mode": "0666"})
        self.certificate = make_certificate(self.directory)
        self.http_port, self.https_port, self.internal_port = free_port(), free_port(), free_port()
        api_port = free_port()
        self.url = f"https://127.0.0.1:{self.https_port}"
        self.send_url = f"http://127.0.0.1:{api_port}/send"
        options = (
            *("--php-url", f"http://127.0.0.1:{self.internal_port}/websocket.php"),
            *("--api-listen", f"127.0.0.1:{api_port}", "--trusted-proxy", "127.0.0.1", *arguments),
        )
        self.gateway = self.start_gateway(*options)
        sample = await printed(
            *(self.server, "--server-name", _NAME, *self.certificate_options(), *options),
            *("--php-root", str(self.document_root), "--php-fpm", self.php.endpoint),
            *("--address", f"127.0.0.1:{self.gateway.port}"),
        )
        self.assertNotIn("Add to the gateway's own configuration", sample)
        self.start_server(sample, changes or {})

    def certificate_options(self) -> tuple[str, ...]:
        made = self.certificate
        return ("--certificate", str(made.path), "--key", str(made.key_path))

    def open(self, **options: Any) -> Deferred[Connection]:
        """A browser's connection."""
        url = f"wss://127.0.0.1:{self.https_port}/ws"
        return self.connect(url, certificate=self.certificate.path, **options)

    async def status(self, path: str, *arguments: str) -> int:
        """How the public server answers a request, whose path is sent as it is."""
        _, status = await self.answer(path, *arguments)
        return status

    async def answer(self, path: str, *arguments: str) -> tuple[str, int]:
        """The body of this answer, and its status."""
        trust = ("--http1.1", "--cacert", str(self.certificate.path), "--path-as-is")
        show = ("--write-out", r"\n%{http_code}")
        body, _, status = (await curl(*trust, *show, *arguments, self.url + path)).rpartition("\n")
        return body, int(status)


class WholeSiteTestCase(SiteTestCase):
    """A whole site with pages and PHP."""

    # The answer to what nobody may do.
    closed = 404
    # Whether all that there is not is the front page.
    has_front_controller = False

    async def assert_works(self) -> None:
        """A message goes to PHP as the browser's own, and PHP's answer comes back."""
        await self.start_site()
        client = await self.open(
            origin=self.url, headers={"Cookie": "name=value"}, local_host="127.0.0.2"
        )
        client.send("hello")
        self.assertEqual(
            {"message": "hello", "address": "127.0.0.2", "https": "on", "cookie": "value"},
            json.loads(await client.receive()),
        )
        await self.assert_no_pushes()
        await self.assert_no_forgery()
        await self.assert_internal_server()
        await self.assert_redirect()

    async def assert_no_pushes(self) -> None:
        """The API is out of reach from outside, whatever the path; PHP finds it where it is."""
        client = await self.open()
        client.send("hello")
        await client.receive()
        client_id = re.findall(r"Client (\S+) connected", self.gateway.log)[-1]
        push = ("--data", f"client_id={client_id}&message=pushed")
        for path in ("/send", "/stats", "/healthz", "/ws/../send", "//send", "/ws/send"):
            for arguments in ((), push):
                body, status = await self.answer(path, *arguments)
                if not (self.has_front_controller and body == "front page"):
                    self.assertIn(status, (404, 405), path)
        self.assertEqual("Message sent", await curl(*push, self.send_url))
        self.assertEqual("pushed", await client.receive())

    async def assert_no_forgery(self) -> None:
        """Nobody outside can post to the script that answers messages; other scripts run."""
        for path in (
            "/websocket.php",
            "/websocket.php/more",
            "/websocket.php?type=server",
            "//websocket.php",
            "/ws/../websocket.php",
            "/%77ebsocket.php",
            "/index.php/../websocket.php",
        ):
            self.assertEqual(self.closed, await self.status(path, *_EVENT), path)
            self.assertEqual(self.closed, await self.status(path), path)
        self.assertEqual(200, await self.status("/"))

    async def assert_internal_server(self) -> None:
        """The internal server has that script alone, and is on 127.0.0.1 alone."""
        internal = f"http://127.0.0.1:{self.internal_port}"
        self.assertIn("message", await curl("--data", "message=x", f"{internal}/websocket.php"))
        self.assertNotIn("front page", await curl(f"{internal}/index.php"))
        elsewhere = curl(f"http://127.0.0.2:{self.internal_port}/websocket.php")
        error = await self.assertFailure(elsewhere, CurlError)
        self.assertIn("connect", str(error))

    async def assert_redirect(self) -> None:
        """Who comes without TLS is sent to where it is."""
        location = await curl(
            *("--output", "/dev/null", "--write-out", "%{redirect_url}"),
            *("--header", f"Host: {_NAME}", f"http://127.0.0.1:{self.http_port}/page?a=b"),
        )
        self.assertEqual(f"https://{_NAME}/page?a=b", location)


class NginxSiteTests(WholeSiteTestCase):
    server = "nginx"

    def start_server(self, site: str, changes: Mapping[str, str]) -> None:
        assert _FASTCGI.exists(), f"{_FASTCGI} not found: apt-get install nginx-common"
        self.start_nginx(
            http=replaced(
                site,
                {
                    "listen 80;": f"listen 127.0.0.1:{self.http_port};",
                    "listen 443 ssl;": f"listen 127.0.0.1:{self.https_port} ssl;",
                    "listen [::]:80;": "",
                    "listen [::]:443 ssl;": "",
                    "include fastcgi.conf": f"include {_FASTCGI}",
                    **changes,
                },
            )
        )

    async def test_site(self) -> None:
        await self.assert_works()

    async def test_largest_message(self) -> None:
        """PHP gets the largest message that the gateway takes, though three times as long."""
        await self.start_site()
        self.write({"websocket.php": "<?php echo md5($_POST['message']);"})
        message = bytes(range(256)) * (_DEFAULTS.max_message_size // 256)
        client = await self.open()
        client.send(message)
        self.assertEqual(md5(message).hexdigest().encode(), await client.receive())

    async def test_quiet_client(self) -> None:
        """Pings keep a connection that is silent for longer than Nginx waits."""
        # Without these options it would wait longer.
        changes = {"proxy_read_timeout 16s": "proxy_read_timeout 1s"}
        await self.start_site("--ping-interval", "300ms", "--ping-timeout", "0", changes=changes)
        client = await self.open()
        await _pause(2)
        client.send("still here")
        self.assertEqual("still here", json.loads(await client.receive())["message"])

    async def test_quiet_client_without_pings(self) -> None:
        """Without pings, Nginx cuts it in the end."""
        changes = {"proxy_read_timeout 86400s": "proxy_read_timeout 1s"}
        await self.start_site("--ping-interval", "0", changes=changes)
        client = await self.open()
        self.assertFalse((await client.closed).was_clean)

    async def test_no_forgery_by_path(self) -> None:
        """Not even where PHP is given paths that go on behind a script's name."""
        path_info = {
            r"location ~ \.php$": r"location ~ \.php(/|$)",
            "try_files $uri =404;": r"fastcgi_split_path_info ^(.+?\.php)(/.*)$;",
        }
        await self.start_site(changes=path_info)
        self.assertEqual(200, await self.status("/index.php/more"))
        self.assertEqual(404, await self.status("/websocket.php/more", *_EVENT))


class CaddySiteTests(WholeSiteTestCase):
    server = "caddy"
    has_front_controller = True

    def start_server(self, site: str, changes: Mapping[str, str]) -> None:
        ports = (self.http_port, self.https_port)
        self._started(CaddySite(self.directory / "caddy", replaced(site, changes), *ports))

    async def assert_redirect(self) -> None:
        """Caddy redirects by itself, to its own port."""

    async def test_site(self) -> None:
        await self.assert_works()


class ApacheSiteTests(WholeSiteTestCase):
    server = "apache"
    closed = 403

    def start_server(self, site: str, changes: Mapping[str, str]) -> None:
        ports = (self.http_port, self.https_port)
        self._started(ApacheSite(self.directory / "apache", replaced(site, changes), *ports))

    async def test_site(self) -> None:
        await self.assert_works()


class HaProxySiteTests(SiteTestCase):
    """HAProxy, which serves the WebSocket alone."""

    server = "haproxy"

    def certificate_options(self) -> tuple[str, ...]:
        pem = self.directory / "site.pem"
        made = self.certificate
        pem.write_text(Path(made.path).read_text() + Path(made.key_path).read_text())
        return ("--certificate", str(pem))

    def start_server(self, site: str, changes: Mapping[str, str]) -> None:
        ports = (self.http_port, self.https_port)
        self._started(HaProxySite(self.directory / "haproxy", replaced(site, changes), *ports))

    async def test_site(self) -> None:
        """The WebSocket works, and there is nothing else."""
        # This machine may have no file descriptors for the default.
        await self.start_site("--max-connections", "500")
        self.start_nginx(
            extra_servers=f"""server {{
                listen 127.0.0.1:{self.internal_port};
                root "{self.document_root}";
                location / {{
                    include {_FASTCGI};
                    fastcgi_pass "{self.php.fastcgi_pass}";
                }}
            }}"""
        )
        client = await self.open(origin=self.url, headers={"Cookie": "name=value"})
        client.send("hello")
        self.assertEqual("value", json.loads(await client.receive())["cookie"])
        for path in ("/", "/stats", "/ws/../stats", "/websocket.php"):
            self.assertEqual(404, await self.status(path))
