"""Proxies in front of the gateway: whose word about a browser counts, with real ones."""

import json
import socket
import ssl
from typing import Any

from tests.support.certificate import make_certificate
from tests.support.in_memory_browser import TEXT, frame, request
from tests.support.real.process import free_port
from tests.support.real.raw_client import RawClient
from tests.support.real.upstreams import SCRIPT, FastCgiTestCase
from tests.support.real.websocket_client import HandshakeFailed

# What PHP knows of a browser.
_TELL = """<?php
$names = '/^(REMOTE_ADDR|REMOTE_PORT|HTTPS|REQUEST_SCHEME|HTTP_(HOST|COOKIE|X?_?FORWARDED.*))$/';
$seen = array_filter($_SERVER, fn ($name) => preg_match($names, $name), ARRAY_FILTER_USE_KEY);
echo json_encode($seen + ['client_id' => $_POST['client_id']]);
"""
# Nginx as "phpgw nginx" has it, but for proxies that come before it.
_LOCATION = """location = /ws {{
    proxy_pass {upstream};
    proxy_http_version 1.1;
    proxy_set_header Upgrade $http_upgrade;
    proxy_set_header Connection upgrade;
    proxy_set_header Host $http_host;
    proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
    proxy_set_header X-Forwarded-Proto $scheme;
    {more}
}}"""
_FORGED = {
    "X-Forwarded-For": "1.2.3.4",
    "X-Forwarded-Proto": "gopher",
    "X-Forwarded-Host": "evil.example",
    "X-Real-IP": "1.2.3.4",
}
# Where browsers are: nobody trusts these, though they are on this machine, too.
_HERE, _THERE = "127.0.0.2", "127.0.0.3"
_V2 = b"\r\n\r\n\0\r\nQUIT\n"


class Proxies(FastCgiTestCase):
    async def told(self, url: str, local_host: str = _HERE, **options: Any) -> dict[str, str]:
        """What PHP is told of a browser that connects there."""
        client = await self.connect(url, local_host=local_host, **options)
        client.send("")
        told: dict[str, str] = json.loads(await client.receive())
        return told

    def put_nginx_before(
        self, *arguments: str, tls: bool = False, more: str = "", unix: bool = False
    ) -> str:
        """Start all; returns the URL that Nginx has for browsers."""
        port, path = free_port(), self.directory / "gateway.sock"
        upstream = f"http://unix:{path}:/ws" if unix else f"http://127.0.0.1:{port}/ws"
        listen = ("--listen", f"unix:{path}") if unix else ()
        self.start(_TELL, *listen, *arguments, port=port)
        location = _LOCATION.format(upstream=upstream, more=more)
        self.nginx = self.start_nginx(server=location, tls=tls)
        return self.nginx.url.replace("http", "ws", 1) + "/ws"


class NginxTests(Proxies):
    async def test_trusted(self) -> None:
        """PHP sees the browser, whatever that says of itself."""
        url = self.put_nginx_before(
            *(
                "--trusted-proxy",
                "127.0.0.1",
                "--proxy-headers",
                "x-forwarded-for,x-forwarded-proto",
            )
        )
        for headers in ({}, _FORGED, {"Forwarded": 'for="'}):
            told = await self.told(url, headers=headers)
            self.assertEqual(
                (_HERE, "", "http"),
                (told["REMOTE_ADDR"], told["REMOTE_PORT"], told["REQUEST_SCHEME"]),
            )
            self.assertNotIn("HTTPS", told)
            self.assertEqual(f"127.0.0.1:{self.nginx.port}", told["HTTP_HOST"])
            self.assertRegex(told["client_id"], r"\A127\.0\.0\.1:\d+\Z")
            self.assertNotIn("HTTP_X_FORWARDED_FOR", told)

    async def test_tls(self) -> None:
        url = self.put_nginx_before("--trusted-proxy", "127.0.0.0/31", tls=True)
        assert self.nginx.certificate is not None
        told = await self.told(url, certificate=self.nginx.certificate.path)
        self.assertEqual(
            (_HERE, "on", "https"), (told["REMOTE_ADDR"], told["HTTPS"], told["REQUEST_SCHEME"])
        )

    async def test_not_trusted(self) -> None:
        """Without the option it is Nginx that has connected."""
        url = self.put_nginx_before()
        told = await self.told(url, headers=_FORGED)
        self.assertEqual("127.0.0.1", told["REMOTE_ADDR"])
        self.assertEqual(told["client_id"], f"127.0.0.1:{told['REMOTE_PORT']}")
        self.assertNotIn("HTTPS", told)

    async def test_past_the_proxy(self) -> None:
        """Who connects directly can say what it likes."""
        self.put_nginx_before("--trusted-proxy", "127.0.0.1")
        told = await self.told(self.gateway.ws_url, headers={**_FORGED, "Forwarded": "for=1.2.3.4"})
        self.assertEqual(_HERE, told["REMOTE_ADDR"])
        self.assertEqual(told["client_id"], f"{_HERE}:{told['REMOTE_PORT']}")

    async def test_header_that_nginx_does_not_set(self) -> None:
        """A browser cannot have it believed, nor make Nginx's word doubtful for others."""
        url = self.put_nginx_before("--trusted-proxy", "127.0.0.1")
        with self.assertRaises(HandshakeFailed) as raised:
            await self.told(url, headers={"Forwarded": "for=1.2.3.4"})
        self.assertEqual(400, raised.exception.status)
        self.assertEqual(_HERE, (await self.told(url))["REMOTE_ADDR"])

    async def test_header_that_nginx_removes(self) -> None:
        url = self.put_nginx_before(
            "--trusted-proxy", "127.0.0.1", more='proxy_set_header Forwarded "";'
        )
        told = await self.told(url, headers={"Forwarded": "for=1.2.3.4"})
        self.assertEqual(_HERE, told["REMOTE_ADDR"])

    async def test_forwarded(self) -> None:
        url = self.put_nginx_before(
            *("--trusted-proxy", "127.0.0.1", "--proxy-headers", "forwarded"),
            more='proxy_set_header Forwarded "$http_forwarded, for=$remote_addr;proto=https;'
            'host=\\"example.com:8443\\"";',
        )
        for forged in ({}, {**_FORGED, "Forwarded": "for=1.2.3.4;proto=http;host=evil.example"}):
            told = await self.told(url, headers=forged)
            self.assertEqual(
                (_HERE, "on", "example.com:8443"),
                (told["REMOTE_ADDR"], told["HTTPS"], told["HTTP_HOST"]),
            )

    async def test_unix_socket(self) -> None:
        url = self.put_nginx_before("--trusted-proxy", "unix", unix=True)
        for number, host in enumerate((_HERE, _THERE), 1):
            told = await self.told(url, host)
            self.assertEqual((host, f"unix:{number}"), (told["REMOTE_ADDR"], told["client_id"]))

    async def test_same_site(self) -> None:
        """Which page is of the same site is told by the host that the browser asked for."""
        url = self.put_nginx_before(
            "--trusted-proxy", "127.0.0.1", more="proxy_set_header X-Forwarded-Host example.com;"
        )
        for origin, expected in (("https://example.com", "a=1"), ("http://127.0.0.1", None)):
            told = await self.told(url, origin=origin, headers={"Cookie": "a=1"})
            self.assertEqual(expected, told.get("HTTP_COOKIE"))

    async def test_clients_of_an_address(self) -> None:
        """They are counted by their own, and so is nobody by the proxy's."""
        self.put_nginx_before("--trusted-proxy", "127.0.0.1", "--max-connections-per-address", "1")
        for host in ("203.0.113.7", "203.0.113.8"):
            options: dict[str, Any] = {
                "local_host": "127.0.0.1",
                "headers": {"X-Forwarded-For": host},
            }
            await self.told(self.gateway.ws_url, **options)
            with self.assertRaises(HandshakeFailed) as raised:
                await self.told(self.gateway.ws_url, **options)
            self.assertEqual(429, raised.exception.status)

    async def test_over_http(self) -> None:
        """A web server that PHP is behind is told of the browser, too."""
        self.start(_TELL)
        web = self.start_nginx()
        url = f"{web.url}/{SCRIPT}"
        gateway = self.start_gateway("--php-url", url, "--trusted-proxy", "127.0.0.1")
        told = await self.told(
            gateway.ws_url,
            "127.0.0.1",
            headers={
                "X-Forwarded-For": f"1.2.3.4, {_HERE}",
                "X-Forwarded-Proto": "https",
                "X-Forwarded-Host": "example.com",
            },
        )
        self.assertEqual(
            (_HERE, "https", "example.com"),
            tuple(told[f"HTTP_X_FORWARDED_{name}"] for name in ("FOR", "PROTO", "HOST")),
        )


class ProxyProtocolTests(Proxies):
    """HAProxy's, before anything else on a connection; also before TLS."""

    def start_at(self, endpoint: str, *arguments: str) -> int:
        """Start all, with this endpoint besides; returns its port."""
        port = free_port()
        listen = endpoint.format(port=port)
        self.start(_TELL, "--listen", listen, *arguments)
        return port

    def told_after(self, client: RawClient) -> dict[str, str]:
        """What PHP is told of who has connected so."""
        client.upgrade(request()).send(frame(TEXT, b""))
        told: dict[str, str] = json.loads(client.frame()[1])
        return told

    def v2(self, command: int, family: int, addresses: bytes) -> bytes:
        return _V2 + bytes((0x20 | command, family)) + len(addresses).to_bytes(2, "big") + addresses

    def ipv4(self, host: str) -> bytes:
        return socket.inet_aton(host) + socket.inet_aton("192.0.2.1") + b"\x14\x03\x1f\x90"

    def test_addresses(self) -> None:
        port = self.start_at("haproxy:tcp:{port}:interface=127.0.0.1")
        ipv6 = socket.inet_pton(socket.AF_INET6, "2001:db8::7")
        for header, expected in (
            (b"PROXY TCP4 203.0.113.7 192.0.2.1 5123 8080\r\n", "203.0.113.7"),
            (b"PROXY TCP6 2001:db8::7 2001:db8::1 5123 8080\r\n", "2001:db8::7"),
            (self.v2(1, 0x11, self.ipv4("203.0.113.8")), "203.0.113.8"),
            (self.v2(1, 0x11, self.ipv4("203.0.113.9") + b"\x04\0\0"), "203.0.113.9"),
            (self.v2(1, 0x21, ipv6 + ipv6 + b"\x14\x03\x1f\x91"), "2001:db8::7"),
            # A health check of the proxy's own, and a browser that it cannot describe.
            (self.v2(0, 0, b""), "127.0.0.1"),
            (b"PROXY UNKNOWN \r\n", "127.0.0.1"),
        ):
            with RawClient(port) as client:
                told = self.told_after(client.send(header))
                self.assertEqual(expected, told["REMOTE_ADDR"], header)
                name = f"[{expected}]" if ":" in expected else expected
                self.assertEqual(f"{name}:{told['REMOTE_PORT']}", told["client_id"])
                if not expected.startswith("127."):
                    self.assertEqual("5123", told["REMOTE_PORT"])

    def test_no_such_header(self) -> None:
        """Who does not speak it is not served at all, and takes no longer than others may."""
        port = self.start_at("haproxy:tcp:{port}:interface=127.0.0.1", "--handshake-timeout", "1s")
        for data in (
            *(request(), b"PROXY TCP5 1 2 3 4\r\n", b"PROXY \r\n", b"PROXY TCP4 1.2.3.4\r\n"),
            *(b"PROXY TCP4 " + b"1" * 200, b"PROXY TCP4 1.2.3.4 1.2.3.4 x y\r\n", bytes(100)),
            *(self.v2(5, 0x11, bytes(12)), self.v2(1, 0x11, bytes(3)), _V2 + b"\x11\x11\0\0"),
            *(b"PROXY TCP4 1.2.3.4 1.2", _V2 + b"\x21\x11\xff\xff" + bytes(1000), b"", b"PROXY TC"),
        ):
            with RawClient(port) as client:
                self.assertEqual(b"", client.send(data).rest(), data)
                self.assertLess(client.seconds(), 5)

    def test_claims_to_be_of_this_machine(self) -> None:
        """Whoever reaches such a port can say so; for a push that is no reason to be served."""
        port = self.start_at("haproxy:tcp:{port}:interface=127.0.0.1")
        push = (
            b"POST /send HTTP/1.1\r\nHost: localhost\r\nContent-Length: 17\r\n"
            b"Content-Type: application/x-www-form-urlencoded\r\n\r\nmessage=a&all=1&b"
        )
        for header in (
            b"PROXY TCP4 127.0.0.1 127.0.0.1 5 6\r\n",
            b"PROXY TCP6 ::1 ::1 5 6\r\n",
            b"PROXY UNKNOWN \r\n",
            self.v2(1, 0x11, self.ipv4("127.0.0.1")),
            self.v2(1, 0x31, bytes(216)),
            self.v2(0, 0, b""),
        ):
            with RawClient(port) as client:
                response = client.send(header + push).response()
                self.assertEqual(403, response.status, header)
                self.assertIn(b"through a proxy (PROXY protocol)", response.body)
        with RawClient(self.gateway.port) as client:
            self.assertEqual(200, client.status(push))

    def test_before_tls(self) -> None:
        certificate = make_certificate(self.directory)
        port = self.start_at(
            "ssl:haproxy:tcp:{port}:interface=127.0.0.1"
            f":privateKey={certificate.key_path}:certKey={certificate.path}"
        )
        context = ssl.create_default_context(cafile=str(certificate.path))
        with RawClient(port) as client:
            client.send(b"PROXY TCP4 127.0.0.9 127.0.0.1 5123 6\r\n")
            client.socket = context.wrap_socket(client.socket, server_hostname="localhost")
            self.assertEqual(403, client.status(request("/stats")))
            told = self.told_after(client)
        self.assertEqual(("127.0.0.9", "on"), (told["REMOTE_ADDR"], told["HTTPS"]))
