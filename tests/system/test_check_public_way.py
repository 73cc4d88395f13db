"""``phpgw check --url`` by way of a real Nginx: the printed line makes right what is wrong."""

import os
import socket
from collections.abc import Mapping
from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network, ip_network
from unittest import mock

import attrs
from twisted.internet.threads import deferToThread

from phpgw.checks import public_connection
from phpgw.checks.finding import Finding
from phpgw.checks.public_url import PublicUrl, parse_public_url
from phpgw.checks.public_way import PublicWay, check_public_way
from phpgw.cli.api_address import ApiAccess, TcpAddress
from phpgw.cli.api_client import ApiClient
from phpgw.cli.api_exchange import exchange
from phpgw.cli.check import ApiAnnouncer
from phpgw.settings import Settings
from phpgw.settings.as_json import settings_as_json
from tests.support.certificate import Certificate, make_certificate
from tests.support.real.gateway import Gateway
from tests.support.real.process import free_port
from tests.support.real.proxied_site import ProxiedSite
from tests.support.real.system_test_case import SystemTestCase

# PHP does not run: a probe does not need it.
_NO_PHP = ("--php-url", "http://127.0.0.1:1/", "--php-probe", "off")
_SITE = "site.example"

Findings = dict[str, Finding]
# A mistake: changed directives, and the finding about it.
Case = tuple[Mapping[str, str | None], str, str]

# Behind a gateway that trusts the proxy.
_CASES: dict[str, Case] = {
    "Upgrade lost": ({"proxy_set_header Upgrade": None}, "proxy-upgrade", "wrong"),
    "Connection lost": ({"proxy_set_header Connection": None}, "proxy-upgrade", "wrong"),
    "HTTP/1.0": ({"proxy_http_version": "1.0"}, "proxy-http-version", "wrong"),
    "Host lost": ({"proxy_set_header Host": None}, "proxy-host", "wrong"),
    "cookies lost": ({"proxy_set_header Cookie": '""'}, "proxy-cookies", "wrong"),
    "Origin removed": ({"proxy_set_header Origin": '""'}, "proxy-origin", "wrong"),
    "Origin overwritten": (
        {"proxy_set_header Origin": "http://127.0.0.1"},
        "proxy-origin",
        "wrong",
    ),
    "forged address": ({"proxy_set_header X-Forwarded-For": None}, "proxy-address", "wrong"),
    "path rewritten": ({"proxy_pass": "http://127.0.0.1:{port}/"}, "proxy-path", "wrong"),
    "query lost": ({"proxy_pass": "http://127.0.0.1:{port}$uri"}, "proxy-query", "wrong"),
    "subprotocol lost": (
        {"proxy_set_header Sec-WebSocket-Protocol": '""'},
        "proxy-subprotocol",
        "warn",
    ),
    "no location": ({"location": "= /live"}, "public-path", "wrong"),
    "location with a slash": ({"location": "/ws/"}, "public-path", "wrong"),
    "gateway elsewhere": ({"proxy_pass": "http://127.0.0.1:1"}, "public-upstream", "wrong"),
    "wrong scheme": ({"proxy_pass": "https://127.0.0.1:{port}"}, "public-http", "wrong"),
    "address filter": ({"deny": "all"}, "public-http", "wrong"),
    "silence cut": ({"proxy_read_timeout": "1s"}, "idle-cut", "wrong"),
}


class PublicWayTestCase(SystemTestCase):
    """A gateway, and an Nginx with sites in front of it."""

    trusted: tuple[IPv4Network | IPv6Network, ...] = ()

    def setUp(self) -> None:
        real = socket.getaddrinfo

        def resolve(host: str, *arguments: object, **more: object) -> object:
            name = "127.0.0.1" if host == _SITE else host
            return real(name, *arguments, **more)  # type: ignore[arg-type]

        self.patch(socket, "getaddrinfo", resolve)
        self.write({"index.html": "<title>404 Not Found</title>"})

    def start_gateway_with_api(self, *arguments: str) -> Gateway:
        """Start a gateway whose API is at a port of its own."""
        self.api_port = free_port()
        listen = ("--api-listen", f"127.0.0.1:{self.api_port}")
        gateway = self.start_gateway(*_NO_PHP, *listen, *arguments)
        self.gateway_port = gateway.port
        if "--trusted-proxy" in arguments:
            self.trusted = (ip_network("127.0.0.1"),)
        return gateway

    def start_sites(self, *sites: ProxiedSite) -> None:
        """Start Nginx with sites."""
        self.sites = sites
        self.nginx = self.start_nginx(self.start_php(), extra_servers="".join(map(str, sites)))

    def reload(self) -> None:
        self.nginx.extra_servers = "".join(map(str, self.sites))
        self.nginx.reload()

    async def find(self, url: str, *, idle: float = 0, origin: str = "") -> Findings:
        """Return the findings about a URL, by their ids."""
        parsed = parse_public_url(url)
        settings = Settings(
            php_script="/a", listen=(f"tcp:{self.gateway_port}",), trusted_proxy=self.trusted
        )
        way = PublicWay(
            url=parsed,
            origin=origin or parsed.origin,
            idle=idle,
            settings=settings_as_json(settings),
        )
        access = ApiAccess(TcpAddress("127.0.0.1", self.api_port), None)
        announcer = ApiAnnouncer(ApiClient(access, exchange), True)

        def check() -> list[Finding]:
            return list(check_public_way(way, announcer))

        findings: list[Finding] = await deferToThread(check)
        return {finding.id: finding for finding in findings}

    def assert_right(self, found: Findings) -> None:
        """Nothing is called wrong, or likely to go wrong, but that there is no TLS."""
        for finding in found.values():
            if finding.id != "public-tls":
                self.assertIn(finding.level.value, ("ok",), finding)
        for name in ("public-http", "proxy-host", "proxy-cookies", "api-exposed"):
            self.assertIn(name, found)


class MistakeTests(PublicWayTestCase):
    timeout = 120

    async def test_each(self) -> None:
        """Each mistake has its finding, and the line in it makes it right."""
        self.start_gateway_with_api("--trusted-proxy", "127.0.0.1")
        sites = {
            name: ProxiedSite(self.gateway_port, changes)
            for name, (changes, _, _) in _CASES.items()
        }
        right = ProxiedSite(self.gateway_port, {})
        self.start_sites(right, *sites.values())
        self.assert_right(await self.find(f"ws://{_SITE}:{right.port}/ws", idle=2))
        for name, (_, subject, level) in _CASES.items():
            found = await self.find_case(subject, sites[name])
            self.assertIn(subject, found, f"{name}: {found}")
            self.assertEqual(level, found[subject].level.value, f"{name}: {found[subject]}")
            sites[name].apply(found[subject].fix)
        self.reload()
        for name, (_, subject, _) in _CASES.items():
            self.assert_right(await self.find_case(subject, sites[name]))
        self.assertEqual(0, await self.clients())

    async def find_case(self, subject: str, site: ProxiedSite) -> Findings:
        idle = 2 if subject == "idle-cut" else 0
        return await self.find(f"ws://{_SITE}:{site.port}/ws", idle=idle)

    async def clients(self) -> int:
        """How many clients the gateway has had."""
        access = ApiAccess(TcpAddress("127.0.0.1", self.api_port), None)
        client = ApiClient(access, exchange)
        stats: dict[str, int] = await deferToThread(client.get, "stats")
        return stats["handshakes_accepted"]


class ListenTests(PublicWayTestCase):
    """Ports that speak something else."""

    async def test_each(self) -> None:
        self.start_gateway_with_api("--trusted-proxy", "127.0.0.1")
        sites = {
            "HTTP/2 alone": ProxiedSite(self.gateway_port, {}, " http2"),
            "PROXY protocol": ProxiedSite(self.gateway_port, {}, " proxy_protocol"),
            "another port": ProxiedSite(self.gateway_port, {}),
        }
        ports = {name: site.port for name, site in sites.items()}
        sites["another port"].apply(f"listen {free_port()};")
        self.start_sites(*sites.values())
        for name, subject in (
            ("HTTP/2 alone", "public-http"),
            ("PROXY protocol", "public-http"),
            ("another port", "public-port"),
        ):
            url = f"ws://{_SITE}:{ports[name]}/ws"
            finding = (await self.find(url))[subject]
            self.assertEqual("wrong", finding.level.value, f"{name}: {finding}")
            sites[name].apply(finding.fix)
            self.reload()
            self.assert_right(await self.find(url))

    async def test_not_reached(self) -> None:
        """Nobody listens, nobody answers, there is no such name: each is told apart."""
        self.start_gateway_with_api()
        self.patch(public_connection, "_TIMEOUT", 0.3)
        full = socket.create_server(("127.0.0.1", 0), backlog=0)
        self.addCleanup(full.close)
        address = full.getsockname()
        for _ in range(2):
            # The backlog is full then, and the kernel drops what comes: like a firewall.
            client = socket.socket()
            self.addCleanup(client.close)
            client.setblocking(False)
            client.connect_ex(address)
        for url, subject, text in (
            (f"ws://127.0.0.1:{free_port()}/ws", "public-port", "connection refused"),
            (f"ws://127.0.0.1:{address[1]}/ws", "public-port", "does not answer (timeout)"),
            ("wss://no-such-host.invalid/ws", "public-name", "There is no address"),
        ):
            found = await self.find(url)
            self.assertEqual("wrong", found[subject].level.value)
            self.assertIn(text, found[subject].what)
            self.assertNotIn("public-http", found)

    async def test_not_http(self) -> None:
        self.start_gateway_with_api()
        php = self.start_php(socket="tcp")
        found = await self.find(f"ws://{php.fastcgi_pass}/ws")
        self.assertEqual("wrong", found["public-http"].level.value)


class AddressTests(PublicWayTestCase):
    """A gateway that does not know of the proxy."""

    async def test_not_trusted(self) -> None:
        """First the proxy has to say the address, and then the gateway to believe it."""
        self.start_gateway_with_api()
        site = ProxiedSite(self.gateway_port, {"proxy_set_header X-Forwarded-For": None})
        self.start_sites(site)
        url = f"ws://{_SITE}:{site.port}/ws"
        finding = (await self.find(url))["proxy-address"]
        self.assertEqual("warn", finding.level.value)
        site.apply(finding.fix)
        self.reload()
        finding = (await self.find(url))["proxy-address"]
        self.assertEqual(("warn", 'trusted-proxy = ["127.0.0.1"]'), (finding.level, finding.fix))

    async def test_direct(self) -> None:
        """Without a proxy, nothing is wrong with it."""
        gateway = self.start_gateway_with_api()
        found = await self.find(gateway.ws_url)
        self.assert_right(found)
        self.assertIn("no proxy", found["proxy-address"].what)

    async def test_another_path(self) -> None:
        gateway = self.start_gateway_with_api()
        found = await self.find(f"ws://127.0.0.1:{gateway.port}/live")
        self.assertEqual('ws-path = "/live"', found["proxy-path"].fix)

    async def test_another_gateway(self) -> None:
        """A gateway that does not know the token is not the one."""
        other = self.start_gateway(*_NO_PHP)
        self.start_gateway_with_api()
        found = await self.find(other.ws_url)
        self.assertIn("Another server", found["public-upstream"].what)

    async def test_origins(self) -> None:
        """Pages of another host have to be allowed."""
        page = "https://www.example.com"
        for options in ((), ("--allow-origin", "https://other.example")):
            gateway = self.start_gateway_with_api(*options)
            finding = (await self.find(gateway.ws_url, origin=page))["allow-origin"]
            self.assertEqual("wrong", finding.level.value)
            self.assertEqual(f'allow-origin = ["{page}"]', finding.fix)
        gateway = self.start_gateway_with_api("--allow-origin", page)
        self.assert_right(await self.find(gateway.ws_url, origin=page))


class ExposureTests(PublicWayTestCase):
    """An API on the port of browsers."""

    async def test_each(self) -> None:
        gateway = self.start_gateway(*_NO_PHP)
        self.gateway_port = self.api_port = gateway.port
        # What most guides print, and the same without any sign of a proxy.
        no_sign: dict[str, str | None] = {
            "proxy_set_header Host": None,
            "proxy_set_header X-Forwarded-For": None,
            "proxy_set_header X-Forwarded-Proto": None,
            "proxy_set_header Connection": "$http_connection",
        }
        sites = {
            "wrong": ProxiedSite(gateway.port, {"location": "/", **no_sign}),
            "warn": ProxiedSite(gateway.port, {"location": "/"}),
        }
        self.start_sites(*sites.values())
        for level, site in sites.items():
            url = f"ws://{_SITE}:{site.port}/ws"
            finding = (await self.find(url))["api-exposed"]
            self.assertEqual(level, finding.level.value, finding)
            site.apply(finding.fix)
            self.reload()
            self.assertEqual("ok", (await self.find(url))["api-exposed"].level.value)


class TlsTests(PublicWayTestCase):
    """Certificates."""

    def certificate(self, name: str, **options: object) -> Certificate:
        directory = self.directory / name
        directory.mkdir()
        # Each has a name of its own, by which OpenSSL finds what it trusts.
        names = {"names": (f"{name}.example", _SITE), **options}
        return make_certificate(directory, **names)  # type: ignore[arg-type]

    async def test_each(self) -> None:
        """OpenSSL's own words are there; with the certificate that the line names, all is right."""
        right = self.certificate("right", lifetime=timedelta(days=60))
        cases = {
            "another name": (
                self.certificate("name", names=("name.example",)),
                "wrong",
                "not valid for",
            ),
            "self-signed": (self.certificate("self"), "wrong", "self-signed"),
            "expired": (
                self.certificate("old", lifetime=timedelta(hours=-1)),
                "wrong",
                "has expired",
            ),
            "soon": (self.certificate("soon"), "warn", "notAfter"),
        }
        trusted = self.directory / "trusted.pem"
        known = (right, *(cases[name][0] for name in ("another name", "expired", "soon")))
        trusted.write_bytes(b"".join(each.path.read_bytes() for each in known))
        patched = mock.patch.dict(os.environ, SSL_CERT_FILE=str(trusted))
        patched.start()
        self.addCleanup(patched.stop)

        self.start_gateway_with_api("--trusted-proxy", "127.0.0.1")
        sites = {name: self.tls_site(each[0]) for name, each in cases.items()}
        insecure = self.tls_site(right)
        insecure.apply("proxy_set_header X-Forwarded-Proto http;")
        plain = ProxiedSite(self.gateway_port, {})
        self.start_sites(*sites.values(), insecure, plain)
        for name, (_, level, text) in cases.items():
            url = f"wss://{_SITE}:{sites[name].port}/ws"
            found = await self.find(url)
            finding = found["public-tls"]
            self.assertEqual(level, finding.level.value, f"{name}: {finding}")
            self.assertIn(text, finding.seen)
            self.assertEqual("ok", found["public-http"].level.value)
            self.install(sites[name], right)
        scheme = (await self.find(f"wss://{_SITE}:{insecure.port}/ws"))["proxy-scheme"]
        self.assertEqual("warn", scheme.level.value)
        insecure.apply(scheme.fix)
        no_tls = (await self.find(f"wss://{_SITE}:{plain.port}/ws"))["public-tls"]
        self.assertIn("does not speak TLS", no_tls.what)
        plain.apply(no_tls.fix)
        self.install(plain, right)
        self.reload()
        for site in (*sites.values(), insecure, plain):
            found = await self.find(f"wss://{_SITE}:{site.port}/ws")
            self.assert_right(found)
            self.assertEqual("ok", found["public-tls"].level.value)
        found = await self.find(f"ws://{_SITE}:{insecure.port}/ws")
        self.assertIn("speaks TLS", found["public-http"].what)

    def tls_site(self, certificate: Certificate) -> ProxiedSite:
        site = ProxiedSite(self.gateway_port, {}, " ssl")
        self.install(site, certificate)
        return site

    def install(self, site: ProxiedSite, certificate: Certificate) -> None:
        site.apply(f"ssl_certificate {certificate.path};")
        site.apply(f"ssl_certificate_key {certificate.key_path};")


class UrlTests(PublicWayTestCase):
    async def test_no_gateway(self) -> None:
        """Without the API, a gateway is recognised, and nobody becomes a client."""
        gateway = self.start_gateway(*_NO_PHP)
        self.gateway_port = gateway.port
        way = PublicWay(
            url=parse_public_url(gateway.ws_url),
            origin="http://127.0.0.1",
            idle=0,
            settings=settings_as_json(Settings(php_script="/a")),
        )
        access = ApiAccess(TcpAddress("127.0.0.1", 1), None)
        announcer = ApiAnnouncer(ApiClient(access, exchange), False)

        def check(url: PublicUrl) -> dict[str, str]:
            findings = check_public_way(attrs.evolve(way, url=url), announcer)
            return {finding.id: finding.level.value for finding in findings}

        found = await deferToThread(check, way.url)
        self.assertEqual("skipped", found["public-http"])
        found = await deferToThread(check, attrs.evolve(way.url, path="/live"))
        self.assertEqual("wrong", found["public-path"])
