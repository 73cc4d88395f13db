"""Tests for :mod:`phpgw.checks.public_way`; those with a proxy: test_check_public_way."""

from collections.abc import Iterator, Mapping
from typing import Any

import attrs
from twisted.trial.unittest import SynchronousTestCase

from phpgw.checks import public_way
from phpgw.checks.finding import Finding, Level
from phpgw.checks.public_url import parse_public_url
from phpgw.checks.public_way import PublicWay, check_public_way
from tests.support.prepared_connections import PreparedConnections

_ACCEPTED = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n"
_NOT_FOUND = b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno"
_GATEWAY_PAGE = b"HTTP/1.1 426 Upgrade Required\r\n\r\nThis address speaks WebSocket, not HTTP.\n"
_REPORT = {
    "token_in": ["query", "subprotocol", "header"],
    "version": "HTTP/1.1",
    "path": "/live/ws",
    "peer": {"host": "127.0.0.1", "port": 7},
    "headers": [
        ("Host", "site.example"),
        ("Upgrade", "websocket"),
        ("Connection", "upgrade"),
        ("Origin", "http://site.example"),
        ("X-Forwarded-For", "203.0.113.9"),
        ("X-Forwarded-Proto", "http"),
    ],
    "cookies": 1,
    "seen": {
        "address": "203.0.113.9",
        "is_secure": False,
        "host": "site.example",
        "is_cross_origin": False,
    },
    "is_at_path": True,
    "is_accepted": True,
}


@attrs.define
class Announcer:
    """Announces handshakes, and has a report ready."""

    token: str | None = "token"
    seen: Mapping[str, Any] | None = attrs.field(factory=lambda: _REPORT)
    kept_for: list[float] = attrs.field(factory=list)

    def expect(self, idle: float) -> str | None:
        self.kept_for.append(idle)
        return self.token

    def report(self, token: str) -> Mapping[str, Any] | None:
        return self.seen


class TrustTests(SynchronousTestCase):
    def test_trusts_proxies(self) -> None:
        """By an address, or by the PROXY protocol; it may be behind an endpoint that is unknown."""
        for listen, trusted, expected in (
            ("tcp:8080", [], False),
            ("tcp:8080", ["127.0.0.1/32"], True),
            ("haproxy:tcp:8080", [], True),
            ("other:8080", [], True),
        ):
            way = PublicWay(
                url=parse_public_url("ws://a/ws"),
                origin="http://a",
                idle=0,
                settings={"listen": [listen], "trusted-proxy": trusted},
            )
            self.assertIs(expected, way.trusts_proxies, listen)


class PublicWayTests(SynchronousTestCase):
    def check(
        self,
        *responses: bytes | OSError,
        announcer: Announcer | None = None,
        idle: float = 0,
    ) -> dict[str, Finding]:
        """Return the findings, if the API is hidden."""
        connections = PreparedConnections([*responses, *[_NOT_FOUND] * 3, _ACCEPTED])
        self.addCleanup(connections.close)
        named = Finding(id="public-name", level=Level.OK, what="a name")

        def connect(url: object) -> Iterator[object]:
            yield named
            yield connections

        self.patch(public_way, "check_connection", connect)
        way = PublicWay(
            url=connections.url,
            origin="http://site.example",
            idle=idle,
            settings={
                "listen": ["tcp:8080:interface=127.0.0.1"],
                "ws-path": "/live/ws",
                "ping-interval": 25,
                "trusted-proxy": [],
            },
        )
        return {each.id: each for each in check_public_way(way, announcer or Announcer())}

    def test_right(self) -> None:
        found = self.check(_ACCEPTED)
        self.assertEqual("A WebSocket can be opened", found["public-http"].what)
        self.assertEqual(Level.OK, found["api-exposed"].level)
        self.assertNotIn(Level.WRONG, {each.level for each in found.values()})

    def test_response_is_lost(self) -> None:
        found = self.check(_NOT_FOUND)["public-http"]
        self.assertEqual((Level.WRONG, "proxy_http_version 1.1;"), (found.level, found.fix))

    def test_gateway_refuses(self) -> None:
        """If the proxy did nothing wrong, the gateway's own words are shown."""
        seen = {**_REPORT, "is_accepted": False, "refusal": "too many connections"}
        found = self.check(_NOT_FOUND, announcer=Announcer(seen=seen))["public-http"]
        self.assertEqual((Level.WRONG, "too many connections"), (found.level, found.seen))

    def test_refused_for_the_proxy(self) -> None:
        """If the proxy did something wrong, that alone is said."""
        headers = [pair for pair in _REPORT["headers"] if pair[0] != "Upgrade"]  # type: ignore[attr-defined]
        seen = {**_REPORT, "is_accepted": False, "headers": headers}
        found = self.check(_NOT_FOUND, announcer=Announcer(seen=seen))
        self.assertEqual(Level.WRONG, found["proxy-upgrade"].level)
        self.assertNotIn("public-http", found)

    def test_handshake_does_not_come(self) -> None:
        found = self.check(_NOT_FOUND, announcer=Announcer(seen=None))["public-path"]
        self.assertEqual(Level.WRONG, found.level)
        self.assertIn("proxy_pass http://127.0.0.1:8080", found.fix)

    def test_connection_breaks(self) -> None:
        """With and without a gateway that can be asked."""
        for announcer in (Announcer(), Announcer(token=None)):
            found = self.check(OSError("reset"), announcer=announcer)["public-http"]
            self.assertEqual((Level.WRONG, "reset"), (found.level, found.seen))

    def test_without_a_gateway_to_tell(self) -> None:
        """No handshake is made then, which would be a client."""
        announcer = Announcer(token=None)
        found = self.check(_GATEWAY_PAGE, announcer=announcer, idle=5)
        self.assertEqual(Level.SKIPPED, found["public-http"].level)
        self.assertNotIn("idle-cut", found)
        self.assertEqual(
            Level.WRONG, self.check(_NOT_FOUND, announcer=announcer)["public-path"].level
        )

    def test_idle(self) -> None:
        announcer = Announcer()
        found = self.check(_ACCEPTED, announcer=announcer, idle=5)
        self.assertEqual(Level.WRONG, found["idle-cut"].level)
        self.assertEqual([0, 5], announcer.kept_for)

    def test_upstreams(self) -> None:
        """The gateway's URL is as Nginx would have it."""
        connections = PreparedConnections([])
        for listen, url in (
            (["tcp:8080"], "http://127.0.0.1:8080"),
            (["unix:/run/phpgw.sock"], "http://unix:/run/phpgw.sock:"),
            (["systemd:domain=INET:index=0"], "http://127.0.0.1:8080"),
        ):
            way = PublicWay(url=connections.url, origin="", idle=0, settings={"listen": listen})
            self.assertEqual(url, way.upstream)
