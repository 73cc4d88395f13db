"""Tests for :mod:`phpgw.web.forwarded`: which headers of which proxies are trusted."""

from collections.abc import Mapping
from ipaddress import ip_network

from hypothesis import example, given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from phpgw.web.forwarded import (
    FORWARDED,
    UNIX,
    X_FORWARDED,
    InvalidForwardedHeaders,
    RequestSource,
    TrustedProxies,
)

NETWORKS = tuple(map(ip_network, ("127.0.0.1", "10.0.0.0/8", "fd00::/8")))
SEEN = RequestSource(host="127.0.0.1", port=51110, is_secure=False, requested_host=b"gateway:8080")
BROWSER = "203.0.113.7"

Headers = Mapping[str, str | list[str]]


class ForwardedTestCase(SynchronousTestCase):
    proxies = TrustedProxies((*NETWORKS, UNIX))

    def source(self, headers: Headers, seen: RequestSource = SEEN) -> RequestSource:
        """Return the source of a request with these headers."""

        def values(name: str) -> list[bytes]:
            given = headers.get(name, [])
            return [
                each.encode("latin-1") for each in ([given] if isinstance(given, str) else given)
            ]

        return self.proxies.source(seen, values)

    def assert_address(self, expected: str, headers: Headers, port: int = 0) -> None:
        found = self.source(headers)
        self.assertEqual((expected, port), (found.host, found.port), headers)

    def assert_contradiction(self, headers: Headers, reason: str) -> None:
        self.assertIn(reason, str(self.assertRaises(InvalidForwardedHeaders, self.source, headers)))


_ALL = {
    "x-forwarded-for": BROWSER,
    "x-forwarded-proto": "https",
    "x-forwarded-host": "example.com",
}


class TrustTests(ForwardedTestCase):
    told = RequestSource(host=BROWSER, port=0, is_secure=True, requested_host=b"example.com")

    def seen(self, host: str) -> RequestSource:
        return RequestSource(host=host, port=5, is_secure=False, requested_host=b"gateway")

    def test_trusted(self) -> None:
        for host in ("127.0.0.1", "10.1.2.3", "fd12::1", ""):
            self.assertEqual(self.told, self.source(_ALL, self.seen(host)), host)

    def test_not_trusted(self) -> None:
        """The headers of an untrusted peer are not read."""
        for host in ("127.0.0.2", "11.0.0.1", "fe80::1", "fe80::1%eth0", "::1", BROWSER):
            seen = self.seen(host)
            self.assertEqual(seen, self.source(_ALL, seen), host)
            self.assertEqual(seen, self.source({FORWARDED: "for=1.2.3.4"}, seen), host)
            self.assertEqual(seen, self.source({FORWARDED: '"', "x-forwarded-for": "x"}, seen))

    def test_nobody_is_trusted(self) -> None:
        self.proxies = TrustedProxies()
        for host in ("127.0.0.1", "10.1.2.3", ""):
            self.assertEqual(self.seen(host), self.source(_ALL, self.seen(host)))

    def test_unix_socket(self) -> None:
        self.proxies = TrustedProxies(NETWORKS)
        self.assertEqual(self.seen(""), self.source(_ALL, self.seen("")))

    def test_says_nothing(self) -> None:
        self.assertEqual(SEEN, self.source({}))


class XForwardedTests(ForwardedTestCase):
    def test_addresses(self) -> None:
        for node, host, port in (
            ("203.0.113.7", "203.0.113.7", 0),
            ("203.0.113.7:5123", "203.0.113.7", 5123),
            ("2001:db8::1", "2001:db8::1", 0),
            ("2001:DB8:0::1", "2001:db8::1", 0),
            ("[2001:db8::1]", "2001:db8::1", 0),
            ("[2001:db8::1]:5123", "2001:db8::1", 5123),
            ("::ffff:203.0.113.7", "203.0.113.7", 0),
            ("203.0.113.7:99999", "203.0.113.7", 0),
            (" 203.0.113.7\t", "203.0.113.7", 0),
        ):
            self.assert_address(host, {"x-forwarded-for": node}, port)

    def test_right_to_left(self) -> None:
        """A browser can send any entry, but the proxy's entry comes after it."""
        for claimed in ("1.2.3.4", "10.0.0.1", "unknown", "1.2.3.4, 5.6.7.8", "", "<script>"):
            self.assert_address(BROWSER, {"x-forwarded-for": f"{claimed}, {BROWSER}"})
            self.assert_address(BROWSER, {"x-forwarded-for": [claimed, BROWSER]})

    def test_several_proxies(self) -> None:
        for chain in (
            "10.0.0.1",
            "10.0.0.1, fd00::1",
            "10.0.0.1,127.0.0.1",
            "[fd00::1]:5,10.1.1.1",
        ):
            self.assert_address(BROWSER, {"x-forwarded-for": f"1.2.3.4, {BROWSER}, {chain}"})

    def test_all_of_them_proxies(self) -> None:
        """If all are trusted proxies, the first one is the source."""
        self.assert_address("10.0.0.1", {"x-forwarded-for": "10.0.0.1, 10.0.0.2"})

    def test_no_address(self) -> None:
        """It ends the search. The source is the proxy that added the entry."""
        for word in (
            *("unknown", "_hidden", "", "garbage", "unix:", "localhost", "1.2.3", "1.2.3.4.5"),
            *("1.2.3.4:x", "256.1.1.1", "01.2.3.4", "1.2.3.4/8", "fe80::1%eth0", "[x]"),
            *(
                "1.2.3.4 5.6.7.8",
                "::1]",
                "[::1",
                '"1.2.3.4"',
                "\xff",
                "1.2.3.4:-1",
                "\u0661.2.3.4"[1:],
            ),
        ):
            self.assert_address("10.0.0.1", {"x-forwarded-for": f"1.2.3.4, {word}, 10.0.0.1"})
            self.assert_address("127.0.0.1", {"x-forwarded-for": f"1.2.3.4, {word}"}, 51110)

    def test_tls(self) -> None:
        for word, expected in {
            "https": True,
            "HTTPS": True,
            "wss": True,
            "http": False,
            "ws": False,
            "http, https": True,
            "https, http": False,
            "on": False,
            "": False,
        }.items():
            self.assertEqual(
                expected,
                self.source({"x-forwarded-proto": word, "x-forwarded-for": BROWSER}).is_secure,
                word,
            )

    def test_no_tls_before_a_proxy_that_we_speak_tls_with(self) -> None:
        seen = RequestSource(host="127.0.0.1", port=5, is_secure=True, requested_host=b"")
        self.assertFalse(self.source({"x-forwarded-proto": "http"}, seen).is_secure)
        self.assertTrue(self.source({"x-forwarded-for": BROWSER}, seen).is_secure)

    def test_host(self) -> None:
        for word, expected in {
            "example.com": b"example.com",
            "example.com:8443": b"example.com:8443",
            "[2001:db8::1]:80": b"[2001:db8::1]:80",
            "evil.example, example.com": b"example.com",
            "": b"gateway:8080",
            "a b": b"gateway:8080",
            "<script>": b"gateway:8080",
            "user@example.com": b"gateway:8080",
            "example.com\xff": b"gateway:8080",
        }.items():
            self.assertEqual(expected, self.source({"x-forwarded-host": word}).requested_host, word)

    def test_each_of_its_own_hop(self) -> None:
        """Headers that a proxy does not set may come from an earlier proxy."""
        told = self.source(
            {
                "x-forwarded-for": f"1.2.3.4, {BROWSER}, 10.0.0.1",
                "x-forwarded-proto": "ws, https, http",
                "x-forwarded-host": "example.com",
            }
        )
        self.assertEqual(RequestSource(BROWSER, 0, True, b"example.com"), told)


class ForwardedHeaderTests(ForwardedTestCase):
    def test_addresses(self) -> None:
        for node, host, port in (
            ("203.0.113.7", "203.0.113.7", 0),
            ('"203.0.113.7:5123"', "203.0.113.7", 5123),
            ('"[2001:db8::1]"', "2001:db8::1", 0),
            ('"[2001:db8::1]:5123"', "2001:db8::1", 5123),
            ('"[2001:db8::1]:_port"', "2001:db8::1", 0),
            (r'"\20\3.0.113.7"', "203.0.113.7", 0),
            # What should be in quotes.
            ("203.0.113.7:5123", "203.0.113.7", 5123),
            ("[2001:db8::1]", "2001:db8::1", 0),
        ):
            self.assert_address(host, {FORWARDED: f"for={node}"}, port)

    def test_parameters(self) -> None:
        for header in (
            'for=203.0.113.7;proto=https;host="example.com:8443";by=10.0.0.1',
            'For=203.0.113.7; Proto=HTTPS; HOST="example.com:8443"',
            'host="example.com:8443" ;\tproto="https";for="203.0.113.7";ext="a,b;c=\\"d"',
            ', ,for=203.0.113.7;;proto=https;host="example.com:8443";,',
        ):
            expected = RequestSource(BROWSER, 0, True, b"example.com:8443")
            self.assertEqual(expected, self.source({FORWARDED: header}), header)

    def test_right_to_left(self) -> None:
        for claimed in ("for=1.2.3.4", "for=10.0.0.1", "for=unknown", 'for="[::1]:5";proto=ws'):
            header = f"{claimed}, for={BROWSER};proto=https, for=10.0.0.1;proto=http"
            self.assertEqual(
                RequestSource(BROWSER, 0, True, b"gateway:8080"), self.source({FORWARDED: header})
            )
            self.assert_address(BROWSER, {FORWARDED: [claimed, f"for={BROWSER}"]})

    def test_no_address(self) -> None:
        """The source is the proxy that added the entry. Its other parameters count."""
        for word in ("unknown", "_hidden", '"unknown:5"', "garbage", '""'):
            header = f"for=1.2.3.4, for={word};proto=https, for=10.0.0.1"
            told = self.source({FORWARDED: header})
            self.assertEqual(("10.0.0.1", True), (told.host, told.is_secure))
        self.assert_address("127.0.0.1", {FORWARDED: "for=1.2.3.4, proto=https"}, 51110)

    def test_malformed(self) -> None:
        """With an open quote, the proxy's element could be part of the browser's."""
        for claimed in (
            'for="',
            'for="\\',
            "for",
            "=x",
            "for =x",
            "for= x",
            "for=1;for=2",
            "a=b c",
        ):
            for word in (f"for={BROWSER}", 'for="[2001:db8::7]:5"'):
                self.assert_contradiction({FORWARDED: f"{claimed}, {word}"}, "is malformed")
                self.assert_contradiction({FORWARDED: [claimed, word]}, "is malformed")


class BothTests(ForwardedTestCase):
    def test_both(self) -> None:
        """A proxy that sets one of them passes on the other from the browser."""
        for name in X_FORWARDED:
            headers = {name: "1.2.3.4", FORWARDED: f"for={BROWSER}"}
            self.assert_contradiction(headers, "--proxy-headers can name those")

    def test_said_which(self) -> None:
        headers = {"x-forwarded-for": "1.2.3.4", FORWARDED: "for=5.6.7.8"}
        self.proxies = TrustedProxies(NETWORKS, [FORWARDED])
        self.assert_address("5.6.7.8", headers)
        self.proxies = TrustedProxies(NETWORKS, X_FORWARDED)
        self.assert_address("1.2.3.4", headers)

    def test_only_some(self) -> None:
        self.proxies = TrustedProxies(NETWORKS, ["x-forwarded-for"])
        told = self.source(_ALL)
        self.assertEqual(RequestSource(BROWSER, 0, False, b"gateway:8080"), told)

    def test_none(self) -> None:
        self.proxies = TrustedProxies(NETWORKS, [])
        self.assertEqual(SEEN, self.source({**_ALL, FORWARDED: "for=1.2.3.4"}))


_WORDS = st.one_of(
    st.text(st.sampled_from(list('for=proto;,host"\\[]:.0123456789abcdef _%-\t')), max_size=40),
    st.text(st.characters(max_codepoint=255), max_size=20),
    st.ip_addresses().map(str),
)


class PropertyTests(ForwardedTestCase):
    @given(_WORDS, st.ip_addresses())
    def test_nobody_is_somebody_else(self, claimed: str, address: object) -> None:
        """Whatever a browser sends in X-Forwarded-For, the proxy's entry counts."""
        self.proxies = TrustedProxies([ip_network("192.0.2.1")])
        seen = RequestSource("192.0.2.1", 5, False, b"")
        told = self.source({"x-forwarded-for": f"{claimed}, {address}"}, seen)
        alone = self.source({"x-forwarded-for": str(address)}, seen)
        if alone.host != "192.0.2.1":
            self.assertEqual(alone, told)

    @given(_WORDS, st.sampled_from([BROWSER, '"[2001:db8::7]:5"', '"203.0.113.7:5"', "unknown"]))
    @example('for="', '"[2001:db8::7]:5"')
    @example('for="x\\', '"203.0.113.7:5"')
    def test_nobody_is_somebody_else_in_forwarded(self, claimed: str, node: str) -> None:
        """The proxy's element counts, or the request is refused."""
        alone = self.source({FORWARDED: f"for={node}"})
        try:
            told = self.source({FORWARDED: f"{claimed}, for={node}"})
        except InvalidForwardedHeaders:
            return
        self.assertEqual((alone.host, alone.port), (told.host, told.port))

    @given(st.dictionaries(st.sampled_from([*X_FORWARDED, FORWARDED]), _WORDS))
    def test_whatever_comes(self, headers: dict[str, str]) -> None:
        """The result has an address and a host from the input."""
        try:
            told = self.source(headers)
        except InvalidForwardedHeaders:
            return
        self.assertEqual(told.host, str(ip_network(told.host).network_address))
        self.assertIn(told.port, range(65536))
        self.assertRegex(told.requested_host, rb"\A[A-Za-z0-9._:\[\]-]+\Z")
