"""Tests for :mod:`phpgw.checks.proxied_handshake`; those with a proxy: test_check_public_way."""

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from phpgw.checks.finding import Finding, Level
from phpgw.checks.proxied_handshake import ProxiedHandshake, check_handshake
from phpgw.checks.public_url import parse_public_url
from tests.support.checked_situation import brief

_HEADERS = {
    "Host": "example.com",
    "Upgrade": "websocket",
    "Connection": "upgrade",
    "Origin": "https://example.com",
    "X-Forwarded-For": "203.0.113.9",
    "X-Forwarded-Proto": "https",
}
_SEEN = {
    "address": "203.0.113.9",
    "is_secure": True,
    "host": "example.com",
    "is_cross_origin": False,
}


def check(
    seen: dict[str, Any] | None = None,
    peer: tuple[str, int] = ("127.0.0.1", 7),
    *,
    trusts_proxies: bool = True,
    **changes: Any,
) -> dict[str, Finding]:
    """Return the findings about a handshake that is right but for these changes.

    :param seen: changes of what PHP sees.
    :param changes: of headers, ``None`` for none; or of the report.
    """
    headers = {**_HEADERS, **changes.pop("headers", {})}
    report = {
        "token_in": ["query", "subprotocol", "header"],
        "version": "HTTP/1.1",
        "path": "/ws",
        "peer": {"host": peer[0], "port": peer[1]},
        "headers": [(name, value) for name, value in headers.items() if value is not None],
        "cookies": 1,
        "seen": {**_SEEN, **(seen or {})},
        "is_at_path": True,
        **changes,
    }
    handshake = ProxiedHandshake(
        url=parse_public_url("wss://example.com/ws"),
        origin="https://example.com",
        own_address=("203.0.113.9", 40_000),
        report=report,
        upstream="http://127.0.0.1:8080",
        ws_path="/ws",
        trusts_proxies=trusts_proxies,
    )
    return {finding.id: finding for finding in check_handshake(handshake)}


class UpgradeTests(SynchronousTestCase):
    def test_both_lost(self) -> None:
        """One line mends both headers of one hop."""
        found = check(headers={"Upgrade": None, "Connection": "close"})["proxy-upgrade"]
        self.assertEqual(("proxy-upgrade", Level.WRONG), brief(found))
        self.assertIn("headers Upgrade and Connection", found.what)
        self.assertEqual(
            'proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection "upgrade";',
            found.fix,
        )
        self.assertEqual("Upgrade: none; Connection: close", found.seen)

    def test_one_lost(self) -> None:
        found = check(headers={"Upgrade": None})["proxy-upgrade"]
        self.assertIn("the header Upgrade", found.what)
        self.assertEqual("proxy_set_header Upgrade $http_upgrade;", found.fix)


class AddressTests(SynchronousTestCase):
    def test_right(self) -> None:
        self.assertEqual({Level.OK}, {finding.level for finding in check().values()})

    def test_seen_from_the_same_machine(self) -> None:
        """A right proxy is not called wrong, although the gateway takes what looks forged."""
        found = check({"address": "192.0.2.1"}, headers={"X-Forwarded-For": "192.0.2.1, 127.0.0.1"})
        self.assertEqual(("proxy-address", Level.OK), brief(found["proxy-address"]))

    def test_no_proxy_is_trusted(self) -> None:
        """On the proxy's own machine, too: there, a client's address is that of the proxy."""
        for trusts_proxies, level in ((True, Level.OK), (False, Level.WARN)):
            found = check(
                {"address": "127.0.0.1"},
                headers={"X-Forwarded-For": "127.0.0.1"},
                trusts_proxies=trusts_proxies,
            )["proxy-address"]
            self.assertEqual(level, found.level)
        self.assertEqual('trusted-proxy = ["127.0.0.1"]', found.fix)

    def test_not_trusted(self) -> None:
        """The line names the proxy, be it at a socket."""
        for peer, name in (("10.0.0.7", "10.0.0.7"), ("", "unix")):
            found = check({"address": peer, "is_secure": False}, (peer, 0))
            for subject in ("proxy-address", "proxy-scheme"):
                self.assertEqual((subject, Level.WARN), brief(found[subject]))
                self.assertEqual(f'trusted-proxy = ["{name}"]', found[subject].fix)

    def test_forged(self) -> None:
        found = check({"address": "192.0.2.1"}, headers={"X-Forwarded-For": "192.0.2.1"})
        self.assertEqual(("proxy-address", Level.WRONG), brief(found["proxy-address"]))

    def test_direct(self) -> None:
        found = check({"address": "203.0.113.9"}, ("203.0.113.9", 40_000))
        self.assertEqual(Level.OK, found["proxy-address"].level)

    def test_refused_headers(self) -> None:
        found = check(forwarded_refused="There are both Forwarded and X-Forwarded headers.")
        self.assertEqual(Level.WRONG, found["proxy-address"].level)
        self.assertIn("proxy-headers = ", found["proxy-address"].fix)


class HeaderTests(SynchronousTestCase):
    def test_host_of_a_trusted_proxy(self) -> None:
        """It may be in X-Forwarded-Host."""
        self.assertEqual(Level.OK, check(headers={"Host": "backend"})["proxy-host"].level)
        found = check({"host": "backend"}, headers={"Host": "backend"})
        self.assertEqual(("proxy-host", Level.WRONG), brief(found["proxy-host"]))

    def test_no_scheme(self) -> None:
        found = check({"is_secure": False}, headers={"X-Forwarded-Proto": None})
        self.assertIn("X-Forwarded-Proto $scheme", found["proxy-scheme"].fix)

    def test_hostile_values(self) -> None:
        """Whatever comes is a finding, and not an error."""
        for value in ("\x1b[31m", "\xff" * 300, ""):
            names = ("Host", "Origin", "Upgrade", "X-Forwarded-For", "X-Forwarded-Proto")
            found = check({"host": value, "address": value}, headers=dict.fromkeys(names, value))
            self.assertEqual(Level.WRONG, found["proxy-host"].level)

    def test_refused_origin(self) -> None:
        """The line names the origin of the pages."""
        found = check(origin_refused=True)
        self.assertEqual(Level.WRONG, found["allow-origin"].level)
