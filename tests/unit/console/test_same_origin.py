"""Tests for :mod:`phpgw.console.same_origin`: who can log in."""

from tests.support.in_memory_console import ORIGIN, ConsoleTestCase


class CallingOriginTests(ConsoleTestCase):
    def status(self, **headers: str) -> int:
        """The status of a login with a good code and these headers."""
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        given = {"Phpgw-Console-Code": self.code(), **headers}
        return self.ask("POST", "/console/session", given).status

    def test_browser_that_vouches(self) -> None:
        """Whatever the proxy did to the Host."""
        for origin in (ORIGIN, "https://site.example", "https://[2001:db8::1]:8443"):
            self.assertEqual(204, self.status(Origin=origin, Sec_Fetch_Site="same-origin"), origin)

    def test_other_sites(self) -> None:
        for site in ("cross-site", "same-site", "none", "", "SAME-ORIGIN", "same-origin, x"):
            expected = 403 if site else 204
            self.assertEqual(expected, self.status(Origin=ORIGIN, Sec_Fetch_Site=site), site)

    def test_host_is_compared(self) -> None:
        """Without Sec-Fetch-Site, which browsers send to secure origins only."""
        for origin, host in (
            ("http://192.168.1.5:8080", "192.168.1.5:8080"),
            ("http://192.168.1.5", "192.168.1.5"),
            ("http://192.168.1.5", "192.168.1.5:80"),
            ("https://site.example", "site.example"),
            ("https://site.example", "Site.Example:443"),
            ("http://[2001:db8::1]:8080", "[2001:db8::1]:8080"),
        ):
            self.assertEqual(204, self.status(Origin=origin, Host=host), origin)
        for origin, host in (
            ("http://192.168.1.5:3000", "192.168.1.5:8080"),
            ("http://evil.example", "192.168.1.5:8080"),
            ("https://site.example", "site.example:80"),
            ("http://site.example", "site.example:443"),
            ("http://a.site.example", "site.example"),
            ("null", "site.example"),
            ("file://", "site.example"),
            ("http://site.example/", "site.example"),
            ("http://site.example@evil.example", "site.example"),
        ):
            self.assertEqual(403, self.status(Origin=origin, Host=host), origin)

    def test_hint(self) -> None:
        """A proxy that changes the Host is told of."""
        answer = self.log_in(self.code(), Origin="https://site.example", **{"Sec-Fetch-Site": ""})
        self.assertEqual(403, answer.status)
        self.assertIn(b"proxy_set_header Host $http_host", answer.body)
        self.assertIn(b"'localhost:8080'", answer.body)

    def test_no_browser(self) -> None:
        """A program that says nothing of a page is none."""
        self.assertEqual(403, self.status())
        self.assertEqual(403, self.status(Sec_Fetch_Site="same-origin"))

    def test_referrer(self) -> None:
        self.assertEqual(204, self.status(Referer=f"{ORIGIN}/console"))
        for referrer in ("http://evil.example/console", "x", f"x{ORIGIN}", "about:blank"):
            self.assertEqual(403, self.status(Referer=referrer), referrer)
