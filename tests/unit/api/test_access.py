"""Who may push, and what those are told who may not."""

from collections.abc import Iterable
from pathlib import Path
from typing import cast

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.interfaces import IAddress
from twisted.internet.task import Clock
from twisted.logger import LogLevel, capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import Resource
from twisted.web.server import Request

from phpgw.api.access import Access, Denied, Permission
from phpgw.process.proxy_protocol import ProxyFactory
from phpgw.web.forwarded import TrustedProxies
from phpgw.web.handshake_request import HandshakeRequest
from phpgw.web.proxy_detection import ProxyDetector
from tests.support.fakes import LOCAL, REMOTE, UNIX, Answer, Exchange, request, request_head
from tests.unit.web.test_host import OURS, STRANGERS

# What a header of the PROXY protocol, version 2, begins with.
_V2 = b"\r\n\r\n\0\r\nQUIT\n"


class _Door(Resource):
    isLeaf = True

    def __init__(self, access: Access) -> None:
        super().__init__()
        self._access = access
        self.permissions: list[Permission] = []

    def render_POST(self, request: Request) -> bytes:
        try:
            self._access.check(request)
        except Denied as denied:
            return denied.as_text(request)
        self.permissions.append(self._access.permission(request))
        return b"come in"


class _Handshake(Resource):
    isLeaf = True

    def __init__(self, detector: ProxyDetector) -> None:
        super().__init__()
        self._detector = detector

    def render_GET(self, request: Request) -> bytes:
        self._detector.inspect_handshake(cast(HandshakeRequest, request))
        return b""


class AccessTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.access = Access()

    def knock(
        self, *headers: tuple[str, str], peer: IAddress = LOCAL, version: str = "1.1"
    ) -> Answer:
        exchange = Exchange(_Door(self.access), peer=peer)
        head = request_head("POST", "/", headers)
        exchange.send(head.replace(b"HTTP/1.1", f"HTTP/{version}".encode(), 1))
        return exchange.answer()

    def assert_refused(self, answer: Answer, status: int, reason: str) -> None:
        """The answer is a line that gives this reason."""
        self.assertEqual(status, answer.status)
        self.assertEqual("text/plain; charset=utf-8", answer.headers["Content-Type"])
        self.assertEqual(1, len(answer.body.splitlines()))
        self.assertIn(reason.encode(), answer.body)


def ip(host: str) -> IPv4Address | IPv6Address:
    kind = IPv6Address if ":" in host else IPv4Address
    return kind("TCP", host, 51110)


PROXY_HEADERS = (
    *("Forwarded", "Via", "X-Real-IP", "X-Forwarded", "X-Forwarded-For", "X-Forwarded-Host"),
    *("X-Forwarded-Proto", "X-Forwarded-Whatever", "X-Forward-For", "Max-Forwards", "CF-Ray"),
    *("CF-Connecting-IP", "True-Client-IP", "X-Client-IP", "Client-IP", "X-Cluster-Client-IP"),
    *("Cdn-Loop", "Fastly-Client-IP", "Fly-Region", "X-Original-URL", "X-Rewrite-URL", "X-Host"),
    *("X-Remote-Addr", "X-Remote-User", "X-Envoy-External-Address", "X-ProxyUser-Ip"),
    *("X-NginX-Proxy", "Proxy-Connection", "X-Varnish", "Tailscale-User-Login"),
)
BROWSER_HEADERS = (
    *("Origin", "Referer", "Cookie", "Sec-Fetch-Site", "Sec-Fetch-Mode", "Sec-Fetch-Dest"),
    *("Sec-CH-UA", "Sec-GPC", "DNT", "Upgrade-Insecure-Requests", "Access-Control-Request-Method"),
)
# What programs send by themselves, and what watches over their speed adds.
HARMLESS_HEADERS = (
    *("User-Agent", "Accept", "X-Requested-With", "Cache-Control", "Pragma", "X-Zip", "X-Cfg"),
    *("X-Request-Id", "Traceparent", "X-Amzn-Trace-Id", "X-Datadog-Trace-Id", "X-Clients"),
)


class NoTokenTests(AccessTestCase):
    def test_this_machine(self) -> None:
        for host in ("127.0.0.1", "127.1.2.3", "::1", "::ffff:127.0.0.1"):
            self.assertEqual(200, self.knock(peer=ip(host)).status, host)

    def test_unix_socket(self) -> None:
        for peer in (UNIX, UNIXAddress("/run/php.sock")):
            self.assertEqual(200, self.knock(peer=peer).status)

    def test_other_machine(self) -> None:
        """Refused, with what would help; also from the same network."""
        for host in (
            "203.0.113.7",
            "10.0.0.1",
            "192.168.1.1",
            "128.0.0.1",
            "0.0.0.0",
            "2001:db8::1",
            "fe80::1%eth0",
            "::",
            "::ffff:203.0.113.7",
        ):
            answer = self.knock(peer=ip(host))
            self.assert_refused(answer, 403, "The request came from another machine")
            self.assertIn(b"set --api-token-file", answer.body)
            self.assertIdentical(None, answer.headers["WWW-Authenticate"])

    def test_proxy(self) -> None:
        """A proxy on this machine may act for anybody; each header tells of one."""
        for name in PROXY_HEADERS:
            for spelled in (name, name.lower(), name.upper()):
                for peer in (LOCAL, UNIX):
                    answer = self.knock((spelled, "127.0.0.1"), peer=peer)
                    self.assert_refused(answer, 403, "The request came through a proxy")

    def test_browser(self) -> None:
        """A page that a browser on this machine shows may be anybody's, also of this machine."""
        for name in BROWSER_HEADERS:
            for value in ("http://localhost:8080", "same-origin", "null"):
                answer = self.knock((name, value))
                self.assert_refused(answer, 403, "The request came from a browser")

    def test_host_of_a_stranger(self) -> None:
        """A page from there may have been led here (DNS rebinding), and say nothing of itself."""
        for host in STRANGERS:
            for header in (host, f"{host}:8080"):
                for peer in (LOCAL, UNIX):
                    answer = self.knock(("Host", header), peer=peer)
                    self.assert_refused(answer, 403, "for a host of another name")
                    self.assertIn(b"as localhost or 127.0.0.1", answer.body)
                    self.assertNotIn(host.encode(), answer.body)

    def test_host_of_ours(self) -> None:
        for host in OURS:
            for header in (host, f"{host}:8080"):
                self.assertEqual(200, self.knock(("Host", header)).status, header)

    def test_proxy_protocol(self) -> None:
        """Whoever gets to such a port can claim to be on this machine."""
        for claim in (
            b"PROXY TCP4 127.0.0.1 127.0.0.1 5 6\r\n",
            b"PROXY TCP6 ::1 ::1 5 6\r\n",
            b"PROXY TCP4 203.0.113.7 127.0.0.1 5 6\r\n",
            b"PROXY UNKNOWN \r\n",
            _V2 + b"\x21\x11\x00\x0c" + bytes([127, 0, 0, 1] * 2) + b"\x00\x05\x00\x06",
            _V2 + b"\x21\x31\x00\xd8" + bytes(216),
            _V2 + b"\x20\x00\x00\x00",
        ):
            for peer in (LOCAL, REMOTE, UNIX):
                exchange = Exchange(
                    _Door(Access()), peer=peer, wrapper=lambda site: ProxyFactory(site, Clock())
                )
                exchange.send(claim + request_head("POST", "/"))
                self.assert_refused(exchange.answer(), 403, "through a proxy (PROXY protocol)")

    def test_other_headers(self) -> None:
        """What programs send by themselves is nothing to be wary of."""
        for name in HARMLESS_HEADERS:
            self.assertEqual(200, self.knock((name, "x")).status, name)
        for connection in ("close", "keep-alive", "Keep-Alive, TE"):
            self.assertEqual(200, self.knock(("Connection", connection)).status)
        self.assertEqual(200, self.knock(("Authorization", "Bearer whatever")).status)

    def test_odd_names(self) -> None:
        """Whatever a header is called, the answer is a line."""
        for name in ("X-Forwarded-\xff", "Via-Proxy" + "x" * 5000, "Sec-\xe9"):
            answer = self.knock((name, "x"))
            self.assertIn(answer.status, (400, 403))
            self.assertLess(len(answer.body), 300)

    def test_set_up_for_websockets(self) -> None:
        """Nginx, told to pass upgrades on, says so to whatever it passes on."""
        for connection in ("upgrade", "Upgrade", "keep-alive, Upgrade"):
            for upgrade in ("h2c", "websocket", ""):
                answer = self.knock(("Connection", connection), ("Upgrade", upgrade))
                self.assert_refused(answer, 403, "came through a proxy (Connection: upgrade)")

    def test_curl_that_would_have_http2(self) -> None:
        """PHP's CURL_HTTP_VERSION_2_0 is often copied; over http:// it asks, and gets HTTP/1.1."""
        answer = self.knock(
            ("Connection", "Upgrade, HTTP2-Settings"),
            ("Upgrade", "h2c"),
            ("HTTP2-Settings", "AAMAAABkAAQAoAAAAAIAAAAA"),
        )
        self.assertEqual(200, answer.status)

    def test_old_http(self) -> None:
        """Nginx speaks it, told nothing, and so does PHP 7's file_get_contents()."""
        for peer in (LOCAL, UNIX):
            answer = self.knock(peer=peer, version="1.0")
            self.assert_refused(answer, 403, "The request is in HTTP/1.0")
            self.assertIn(b"'protocol_version' => 1.1", answer.body)
            self.assertIn(b"--api-listen", answer.body)

    def test_old_http_on_a_port_of_its_own(self) -> None:
        """No proxy is in front of it, but for one that says so."""
        self.access = Access(is_shared=False)
        self.assertEqual(200, self.knock(version="1.0").status)
        self.assertEqual(403, self.knock(("Via", "1.1 x"), version="1.0").status)

    def test_container(self) -> None:
        """What Docker calls the machine, which the article does as well."""
        for host in ("host.docker.internal:8080", "host.containers.internal"):
            self.assertEqual(200, self.knock(("Host", host)).status)

    def test_bearer(self) -> None:
        """Where no token is set, none opens."""
        for header in ("Bearer", "Bearer ", "Bearer None", "Bearer secret"):
            answer = self.knock(("Authorization", header), peer=REMOTE)
            self.assert_refused(answer, 403, "another machine")


class TokenTests(AccessTestCase):
    token = b"s3cret/token=="

    def setUp(self) -> None:
        self.access = Access(self.token)

    right = ("Authorization", "Bearer s3cret/token==")

    def assert_unauthorized(self, answers: Iterable[Answer], reason: str) -> None:
        for answer in answers:
            self.assert_refused(answer, 401, reason)
            self.assertEqual('Bearer realm="phpgw"', answer.headers["WWW-Authenticate"])
            self.assertNotIn(self.token, answer.body)

    def test_right(self) -> None:
        """It opens to anyone, from anywhere."""
        for peer in (LOCAL, REMOTE, UNIX, ip("2001:db8::1")):
            self.assertEqual(200, self.knock(self.right, peer=peer).status)
        for name in (*PROXY_HEADERS, *BROWSER_HEADERS):
            self.assertEqual(200, self.knock(self.right, (name, "x"), peer=REMOTE).status)
        for host in STRANGERS:
            self.assertEqual(200, self.knock(self.right, ("Host", host), peer=REMOTE).status)

    def test_schemes_in_any_case(self) -> None:
        for scheme in ("bearer", "BEARER", "Bearer "):
            header = ("Authorization", f"{scheme} s3cret/token==")
            self.assertEqual(200, self.knock(header, peer=REMOTE).status)

    def test_wrong(self) -> None:
        """Nothing but the whole token opens, not even on this machine."""
        wrong = (
            "Bearer",
            "Bearer ",
            "Bearer s3cret/token=",
            "Bearer s3cret/token===",
            "Bearer S3CRET/TOKEN==",
            "Bearer x s3cret/token==",
            "Bearer \xe9",
        )
        for peer in (LOCAL, REMOTE):
            self.assert_unauthorized(
                [self.knock(("Authorization", value), peer=peer) for value in wrong],
                "The token is not the one in --api-token-file.",
            )

    def test_credentials_for_somebody_else(self) -> None:
        """Those of another scheme count for nothing, neither way."""
        for value in ("Basic s3cret/token==", "s3cret/token=="):
            header = ("Authorization", value)
            self.assertEqual(401, self.knock(header).status)
            self.assertEqual(401, self.knock(header, peer=REMOTE).status)

    def test_none(self) -> None:
        """It is needed from everywhere; other users of this machine are strangers, too."""
        self.assert_unauthorized(
            [
                *(self.knock(peer=peer) for peer in (LOCAL, ip("::1"), UNIX, REMOTE)),
                self.knock(version="1.0"),
                self.knock(("X-Forwarded-For", "127.0.0.1")),
                self.knock(("Origin", "http://localhost")),
                self.knock(("Host", "evil.example")),
            ],
            "Authorization: Bearer TOKEN",
        )

    def test_old_http(self) -> None:
        self.assertEqual(200, self.knock(self.right, version="1.0").status)

    def test_trusted_machine(self) -> None:
        """Where its programs need none, everybody else does, and a wrong one opens nowhere."""
        self.access = Access(self.token, trusts_local=True)
        for peer in (LOCAL, UNIX):
            self.assertEqual(200, self.knock(peer=peer).status)
        self.assertEqual(200, self.knock(self.right, peer=REMOTE).status)
        for answer in (
            self.knock(peer=REMOTE),
            self.knock(("Via", "1.1 x")),
            self.knock(("Sec-Fetch-Mode", "cors")),
            self.knock(("Host", "evil.example")),
            self.knock(version="1.0"),
            self.knock(("Authorization", "Bearer x")),
        ):
            self.assertEqual(401, answer.status)


class ReloadTests(AccessTestCase):
    def setUp(self) -> None:
        self.path = Path(self.mktemp())
        self.access = Access(b"old", token_file=self.path)

    def statuses(self) -> list[int]:
        return [
            self.knock(("Authorization", f"Bearer {token}"), peer=REMOTE).status
            for token in ("old", "new")
        ]

    def test_new_token(self) -> None:
        self.path.write_text("new\n")
        self.assertTrue(self.access.reload())
        self.assertEqual([401, 200], self.statuses())

    def test_unusable_file(self) -> None:
        """The old token stays, and the log says why."""
        for content in (None, "", "two\nlines"):
            if content is not None:
                self.path.write_text(content)
            with capturedLogs() as events:
                self.assertTrue(self.access.reload())
            [line] = [formatEvent(each) for each in events if each["log_level"] is LogLevel.error]
            assert line is not None
            self.assertIn("goes on with the token that it has: --api-token-file", line)
            self.assertEqual([200, 401], self.statuses())

    def test_no_file(self) -> None:
        self.assertFalse(Access().reload())


class PermissionTests(AccessTestCase):
    def test_proxy_is_found(self) -> None:
        """Who was taken for a program of this machine may have come through it."""
        detector = ProxyDetector(TrustedProxies((), ()))
        self.access = Access(proxy_detector=detector)
        [permission] = self.permissions()
        self.assertTrue(self.access.permits(permission))
        exchange = Exchange(_Handshake(detector), peer=LOCAL)
        exchange.send(request_head("GET", "/", [("Host", "site.example")]))
        self.assertFalse(self.access.permits(permission))

    def test_token_of_nobody(self) -> None:
        """Where no token is set, one that is sent means nothing."""
        [permission] = self.permissions(("Authorization", "Bearer x"))
        self.assertTrue(self.access.permits(permission))

    def permissions(self, *headers: tuple[str, str]) -> list[Permission]:
        door = _Door(self.access)
        exchange = Exchange(door, peer=LOCAL)
        exchange.send(request_head("POST", "/", headers))
        return door.permissions


class LogTests(AccessTestCase):
    def test_denied(self) -> None:
        """The log tells who, what for and why, and nothing of what they sent."""
        door, root = _Door(Access()), Resource()
        root.putChild(b"send", door)
        with capturedLogs() as events:
            request(root, "POST", "/send/secret?secret", headers=[("Via", "secret")])
        [event] = [event for event in events if event["log_level"] is LogLevel.warn]
        self.assertEqual(
            "Denied 127.0.0.1:51110 a request for /send: "
            "The request came through a proxy (Via). "
            "Call from the gateway's own machine, as localhost or 127.0.0.1, "
            "or set --api-token-file.",
            formatEvent(event),
        )

    def test_let_pass(self) -> None:
        with capturedLogs() as events:
            self.knock()
        self.assertEqual([], [event for event in events if event["log_level"] is LogLevel.warn])
