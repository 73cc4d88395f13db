"""Tests for :mod:`phpgw.websocket.probe_handshake`."""

from ipaddress import ip_network
from typing import Any

from phpgw.web.forwarded import TrustedProxies
from phpgw.web.public_probes import PublicProbe, PublicProbes
from phpgw.web.site import GatewaySite
from phpgw.websocket.probe_handshake import ProbedRoot
from phpgw.websocket.request_info import RequestInfo
from tests.support.in_memory_browser import TEXT, InMemoryBrowser
from tests.support.websocket_site import WebSocketSiteTestCase

_MANY: dict[str, Any] = {f"A{n}": "b" for n in range(150)}


class ProbeTestCase(WebSocketSiteTestCase):
    """A site that a probe comes to."""

    def limit(self, **changes: Any) -> None:
        super().limit(**changes)
        self.probes = PublicProbes(self.clock.seconds)
        root = ProbedRoot(self.site.resource, "/ws", self.probes, self.request_info, self.clock)
        self.site = GatewaySite(root, 1000, self.clock)

    def see(self, path: str = "/ws", idle: float = 0, **headers: str | None) -> InMemoryBrowser:
        """Make the handshake of a probe; its report is in :attr:`report`."""
        self.probe: PublicProbe = self.probes.expect(idle)
        browser = InMemoryBrowser(self.site)
        browser.shake_hands(path=f"{path}?phpgw-check={self.probe.token}", **headers)
        return browser

    @property
    def report(self) -> dict[str, Any]:
        """What the gateway has seen."""
        assert self.probe.report is not None
        return self.probe.report


class AcceptedTests(ProbeTestCase):
    def test_no_client(self) -> None:
        """It is opened, and nobody else knows of it."""
        browser = self.see()
        self.assertEqual(101, browser.status)
        self.assertTrue(self.report["is_accepted"])
        self.assertEqual(0, len(self.table))
        self.assertEqual([], self.relay.received)
        self.assertEqual(0, self.metrics.handshakes_accepted)

    def test_greeting(self) -> None:
        """A text message comes down at once."""
        self.assertEqual([(TEXT, b"phpgw")], self.see().frames())

    def test_subprotocol(self) -> None:
        probe = self.probes.expect()
        offered = f"phpgw-check.{probe.token}"
        browser = InMemoryBrowser(self.site)
        browser.shake_hands(Sec_WebSocket_Protocol=offered)
        self.assertIn(f"Sec-WebSocket-Protocol: {offered}".encode(), browser.response)
        assert probe.report is not None
        self.assertEqual(["subprotocol"], probe.report["token_in"])

    def test_silence(self) -> None:
        """The connection is kept as long as was asked for, and ends with the first byte."""
        browser = self.see(idle=75)
        browser.transport.clear()
        self.clock.advance(79)
        self.assertFalse(browser.transport.disconnecting)
        self.assertEqual(b"", browser.transport.value())
        self.clock.advance(1)
        self.assertTrue(browser.transport.disconnecting)
        browser = self.see(idle=75)
        browser.send(b"\x81")
        self.assertTrue(browser.transport.disconnecting)

    def test_others_meanwhile(self) -> None:
        """Others are clients, as ever."""
        self.probes.expect()
        self.assertEqual(101, self.connect().status)
        self.assertEqual(1, len(self.table))


class ReportTests(ProbeTestCase):
    def test_headers(self) -> None:
        """Cookies and other secrets are counted or named, and not shown."""
        self.see(
            Host="example.com",
            Origin="https://example.com",
            Cookie="a=s3cret; b=s3cret",
            Authorization="s3cret",
            X_Forwarded_For="192.0.2.1",
        )
        headers = dict(self.report["headers"])
        self.assertEqual("https://example.com", headers["Origin"])
        self.assertEqual("192.0.2.1", headers["X-Forwarded-For"])
        self.assertIsNone(headers["Cookie"])
        self.assertIsNone(headers["Authorization"])
        self.assertEqual(2, self.report["cookies"])
        self.assertNotIn("s3cret", str(self.report))

    def test_bounded(self) -> None:
        self.see(Origin="https://" + "a" * 1000, **_MANY)
        self.assertEqual(100, len(self.report["headers"]))
        for name, value in self.report["headers"]:
            self.assertLessEqual(len(value or name), 300)

    def test_seen_by_php(self) -> None:
        proxies = TrustedProxies((ip_network("0.0.0.0/0"),))
        self.request_info = RequestInfo(proxies=proxies)
        self.limit()
        self.see(X_Forwarded_For="192.0.2.7", X_Forwarded_Proto="https", Host="a.example")
        seen = {
            "address": "192.0.2.7",
            "is_secure": True,
            "host": "a.example",
            "is_cross_origin": False,
        }
        self.assertEqual(seen, self.report["seen"])


class RefusedTests(ProbeTestCase):
    """A handshake that would be refused gets the same refusal."""

    def test_upgrade_lost(self) -> None:
        browser = self.see(Upgrade=None)
        self.assertEqual(426, browser.status)
        self.assertFalse(self.report["is_accepted"])
        self.assertIn("speaks WebSocket", self.report["refusal"])

    def test_wrong_path(self) -> None:
        browser = self.see("/live")
        self.assertEqual(404, browser.status)
        self.assertEqual(("/live", False), (self.report["path"], self.report["is_at_path"]))

    def test_origin(self) -> None:
        self.request_info = RequestInfo(["https://app.example"])
        self.limit()
        self.assertEqual(403, self.see(Origin="https://other.example").status)
        self.assertTrue(self.report["origin_refused"])

    def test_forwarded(self) -> None:
        self.request_info = RequestInfo(proxies=TrustedProxies((ip_network("0.0.0.0/0"),)))
        self.limit()
        browser = self.see(Forwarded="for=1", X_Forwarded_For="192.0.2.1")
        self.assertEqual(400, browser.status)
        self.assertIn("--proxy-headers", self.report["forwarded_refused"])

    def test_refused_ones_are_no_clients(self) -> None:
        for headers in ({"Upgrade": None}, {"Connection": "close"}, {"Sec_WebSocket_Key": "x"}):
            self.assertNotEqual(101, self.see(**headers).status)
        self.assertEqual(0, len(self.table))
