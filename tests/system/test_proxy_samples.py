"""The printed configurations of proxies, each run by the real server."""

import json
import re
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred

from tests.support.certificate import make_certificate
from tests.support.real.check_test_case import check
from tests.support.real.curl import curl
from tests.support.real.process import free_port
from tests.support.real.proxies import Apache, Caddy, HaProxy
from tests.support.real.samples import missing_lines, printed
from tests.support.real.served_gateway import ServedGateway
from tests.support.real.system_test_case import SystemTestCase

_SCRIPT = """<?php
echo json_encode(['message' => $_POST['message'], 'address' => $_SERVER['REMOTE_ADDR'],
    'scheme' => $_SERVER['REQUEST_SCHEME'], 'host' => $_SERVER['HTTP_HOST'],
    'cookie' => $_COOKIE['name'] ?? '']);
"""
# The address of the browser. Nobody trusts it, though it is on this machine.
_BROWSER = "127.0.0.2"
_FORGED = {
    "X-Forwarded-For": "1.2.3.4",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Host": "evil.example",
    "Forwarded": "for=1.2.3.4;proto=https;host=evil.example",
}
_STATUS = ("--output", "/dev/null", "--write-out", "%{http_code}", "--path-as-is")


class ProxySampleTests(SystemTestCase):
    """Nginx, and the tests of all.

    :ivar hostile: characters that a path may have.
    """

    server = "nginx"
    hostile = " ;#{}\"'\\%"

    def start_proxy(self, sample: str) -> str:
        """Start the proxy with a printed configuration.

        :returns: the URL of its site.
        """
        return self.start_nginx(server=sample).url

    async def start(self, listen: str, listens: int | Path, more: str = "") -> None:
        """Start PHP, a gateway and a proxy, as the gateway's configuration and the sample say.

        :param listen: the endpoint, as the configuration has it.
        :param more: further lines of the configuration.
        """
        # Apache leaves root's rights.
        self.directory.chmod(0o711)
        php = self.start_php({"websocket.php": _SCRIPT})
        self.api_port = free_port()
        self.config = self.directory / "phpgw.toml"
        script = json.dumps(str(self.document_root / "websocket.php"))
        self.config.write_text(
            f"php-script = {script}\nphp-fpm = {json.dumps(php.endpoint)}\n"
            # No more than the Nginx of the tests has connections for.
            "max-connections = 1000\n"
            f"listen = {json.dumps(listen)}\n{more}"
        )
        lacking = missing_lines(await self.printed())
        # That port may be taken.
        api = f'api-listen = "127.0.0.1:{self.api_port}"'
        lines = [api if line.startswith("api-listen") else line for line in lacking]
        self.config.write_text("\n".join([self.config.read_text(), *lines, ""]))
        sample = await self.printed()
        self.assertEqual([], missing_lines(sample))
        self._started(ServedGateway(self.directory / "gateway", self.config, listens))
        self.url = self.start_proxy(sample)
        self.ws_url = self.url.replace("http", "ws", 1) + "/ws"

    def printed(self) -> Deferred[str]:
        """Return the sample for the configuration."""
        return printed(self.server, "--config", str(self.config))

    async def start_at_port(self, endpoint: str = "127.0.0.1:{}", more: str = "") -> None:
        port = free_port()
        await self.start(endpoint.format(port), port, more)

    async def told(self, **options: Any) -> dict[str, str]:
        """Return what PHP is told of a message."""
        client = await self.connect(self.ws_url, local_host=_BROWSER, **options)
        client.send("hello")
        told: dict[str, str] = json.loads(await client.receive())
        return told

    async def assert_works(self) -> None:
        """A message goes through; PHP sees the browser, and nobody else gets at the API."""
        host = self.url.removeprefix("http://")
        for forged in ({}, _FORGED):
            told = await self.told(origin=self.url, headers={"Cookie": "name=value", **forged})
            told["host"] = told["host"].split(":")[0]
            self.assertEqual(
                {
                    **{"message": "hello", "address": _BROWSER, "scheme": "http"},
                    **{"host": host.split(":")[0], "cookie": "value"},
                },
                told,
            )
        foreign = await self.told(origin="http://evil.example", headers={"Cookie": "name=value"})
        self.assertEqual("", foreign["cookie"])
        for path in ("/stats", "/send", "/ws/../stats", "/ws/stats", "//stats", "/wsx", "/healthz"):
            self.assertEqual("404", await curl(*_STATUS, self.url + path), path)
        self.assertEqual("200", await curl(*_STATUS, f"http://127.0.0.1:{self.api_port}/stats"))
        await self.assert_checked()

    async def assert_checked(self) -> None:
        """The check finds nothing wrong on the public way."""
        findings = await check("--config", str(self.config), "--url", self.ws_url)
        for name, finding in findings.items():
            if name.startswith(("public", "proxy", "api", "allow")) and name != "public-tls":
                self.assertEqual("ok", finding["level"], finding)
        for name in ("public-http", "proxy-host", "proxy-address", "proxy-cookies", "api-exposed"):
            self.assertIn(name, findings)

    async def test_tcp(self) -> None:
        await self.start_at_port()
        await self.assert_works()

    async def test_unix(self) -> None:
        """Also at a path that has what ends a value or a line elsewhere."""
        path = self.directory / f"a{self.hostile}b.sock"
        await self.start(str(path), path)
        await self.assert_works()

    async def test_tls(self) -> None:
        """The gateway may speak TLS itself."""
        made = make_certificate(self.directory)
        files = f"privateKey={made.key_path}:certKey={made.path}"
        await self.start_at_port(f"ssl:{{}}:interface=127.0.0.1:{files}")
        await self.assert_works()


class CaddySampleTests(ProxySampleTests):
    server = "caddy"
    hostile = " ;#\"'\\%$"

    def start_proxy(self, sample: str) -> str:
        return self._started(Caddy(self.directory / "caddy", sample)).url


class ApacheSampleTests(ProxySampleTests):
    server = "apache"
    hostile = " ;{}\"'\\"

    def start_proxy(self, sample: str) -> str:
        return self._started(Apache(self.directory / "apache", sample)).url


class HaProxySampleTests(ProxySampleTests):
    server = "haproxy"
    hostile = ' ;#{}"\\%'

    def start_proxy(self, sample: str) -> str:
        [use] = re.findall(r"^#     (use_backend .*)$", sample, re.MULTILINE)
        return self._started(HaProxy(self.directory / "haproxy", sample, use)).url

    async def test_proxy_protocol(self) -> None:
        """PHP sees the browser, and nothing needs to be trusted."""
        await self.start_at_port("haproxy:tcp:{}:interface=127.0.0.1")
        self.assertNotIn("trusted-proxy", self.config.read_text())
        await self.assert_works()
