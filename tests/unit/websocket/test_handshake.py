"""Tests for :mod:`phpgw.websocket.handshake`."""

import gc
import json
import tracemalloc
from ipaddress import ip_network
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from zope.interface import implementer

from phpgw.backend.errors import BackendBroken
from phpgw.backend.event import Event
from phpgw.backend.interface import IBackend
from phpgw.backend.receiver import Cancellable, ReplyReceiver, send_by_asking
from phpgw.backend.reply import Follow, Head, Reply
from phpgw.hub.client import Message
from phpgw.hub.dispatch import Dispatcher
from phpgw.hub.registry import Registry
from phpgw.metrics import Metrics
from phpgw.process.proxy_protocol import ProxyFactory
from phpgw.relay.connect import Admission
from phpgw.relay.policy import RelayPolicy, ReplyPolicy
from phpgw.relay.relay import Relay
from phpgw.relay.replies import Replies
from phpgw.time_slices import TimeSlices
from phpgw.web.forwarded import TrustedProxies
from phpgw.websocket.request_info import RequestInfo
from phpgw.websocket.subprotocols import Subprotocols
from tests.support.certificate import make_certificate
from tests.support.fakes import handshake
from tests.support.in_memory_browser import (
    BINARY,
    CLOSE,
    HEADERS,
    PING,
    PONG,
    TEXT,
    InMemoryBrowser,
    InMemoryTlsBrowser,
    frame,
    request,
)
from tests.support.websocket_site import WebSocketSiteTestCase

_COMMANDS = b"application/vnd.phpgw+json"


def make_pem(directory: str) -> bytes:
    """A certificate with its key."""
    path = Path(directory)
    path.mkdir()
    certificate = make_certificate(path)
    return certificate.path.read_bytes() + certificate.key_path.read_bytes()


class HandshakeTests(WebSocketSiteTestCase):
    def refused(self, sent: bytes) -> tuple[int, bytes]:
        """The status and text with which a handshake is refused."""
        browser = InMemoryBrowser(self.site)
        browser.send(sent)
        body = browser.read_response()
        self.assertEqual(len(self.registry), 0)
        return browser.status, body

    def test_accepted(self) -> None:
        """With the accept value that RFC 6455, section 1.3, has for its key."""
        browser = self.connect()
        lines = browser.response.split(b"\r\n")
        self.assertEqual(lines[0], b"HTTP/1.1 101 Switching Protocols")
        self.assertIn(b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", lines)
        self.assertEqual(self.metrics.handshakes_accepted, 1)

    def test_headers_in_any_case_and_order(self) -> None:
        browser = self.connect(Connection="keep-alive, UPGRADE", Upgrade="WebSocket")
        self.assertEqual(browser.status, 101)

    def test_plain_get(self) -> None:
        browser = InMemoryBrowser(self.site)
        browser.send(b"GET /ws HTTP/1.1\r\nHost: x\r\n\r\n")
        body = browser.read_response()
        self.assertEqual(browser.response.split(b"\r\n")[0], b"HTTP/1.1 426 Upgrade Required")
        self.assertIn(b"new WebSocket(", body)
        self.assertEqual(self.metrics.handshakes_refused["invalid"], 1)

    def test_mistakes(self) -> None:
        for name, sent, status, hint in [
            ("no upgrade", request(Upgrade=None), 426, b"WebSocket"),
            ("other upgrade", request(Upgrade="h2c"), 426, b"WebSocket"),
            ("no connection", request(Connection=None), 400, b"proxy"),
            ("closing", request(Connection="close"), 400, b"proxy"),
            ("old version", request(Sec_WebSocket_Version="8"), 426, b"13"),
            ("no version", request(Sec_WebSocket_Version=None), 426, b"13"),
            ("no key", request(Sec_WebSocket_Key=None), 400, b"Sec-WebSocket-Key"),
            ("short key", request(Sec_WebSocket_Key="c2hvcnQ="), 400, b"Sec-WebSocket-Key"),
            ("bad key", request(Sec_WebSocket_Key="!" * 24), 400, b"Sec-WebSocket-Key"),
            ("no host", request(Host=None), 400, b"Host"),
            ("HTTP/1.0", request(version="1.0"), 505, b"HTTP/1.1"),
            ("POST", request(method="POST"), 405, b"GET"),
            ("PROPFIND", request(method="PROPFIND"), 405, b"GET"),
            ("HEAD", request(method="HEAD"), 405, b""),
            ("body", request(Content_Length="1") + b"a", 400, b"no body"),
            ("chunked", request(Transfer_Encoding="chunked") + b"0\r\n\r\n", 400, b"no body"),
            ("length", request(Content_Length="1"), 400, b"no body"),
            ("no end", request(Transfer_Encoding="chunked"), 400, b"no body"),
            ("no subprotocol", request(Sec_WebSocket_Protocol="a b"), 400, b"Protocol"),
            ("one twice", request(Sec_WebSocket_Protocol="a, b, a"), 400, b"Protocol"),
        ]:
            got, body = self.refused(sent)
            self.assertEqual(got, status, name)
            self.assertIn(hint, body, name)

    def test_two_keys_or_hosts(self) -> None:
        for header in (b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", b"Host: other"):
            sent = request()[:-2] + header + b"\r\n\r\n"
            self.assertEqual(self.refused(sent)[0], 400, header)

    def test_versions_that_would_do(self) -> None:
        browser = InMemoryBrowser(self.site)
        browser.send(request(Sec_WebSocket_Version="99"))
        browser.read_response()
        self.assertIn(b"Sec-Websocket-Version: 13", browser.response.title())

    def test_control_characters(self) -> None:
        """Which others might take for the end of a line, and so of a header."""
        for character in "\x0b\x0c\x1c\x1d\x1e\x7f":
            sent = request(X_Test=f"value{character}X-User: admin")
            self.assertEqual(self.refused(sent)[0], 400, repr(character))

    def test_control_characters_beyond_ascii(self) -> None:
        for character in ("\x85", "\xc2\x85", "\x80", "\xc2\x9f"):
            sent = request(X_Test=f"value{character}X-User: admin")
            self.assertEqual(self.refused(sent)[0], 400, repr(character))

    def test_umlauts(self) -> None:
        """They are no control characters, whatever their bytes."""
        for value in ("caf\xc3\x89", "\xc3\x85", "\xe2\x82\xac", "caf\xe9", "\xf0\x9f\x98\x80"):
            browser = self.connect(X_Test=value)
            self.assertEqual(browser.status, 101, value)
            browser.hang_up()

    def test_smuggled_header(self) -> None:
        """NEL is part of many a character in UTF-8, and never the end of a line."""
        value = "caf\xc3\x85\x85Sec-WebSocket-Extensions: permessage-deflate"
        self.limit(compression=True)
        browser = self.connect(X_Test=value)
        self.assertEqual(browser.status, 101)
        self.assertNotIn(b"deflate", browser.response)

    def test_contradictory_proxy(self) -> None:
        """One cannot tell the proxy's word from the browser's; the answer says what to do."""
        self.request_info = RequestInfo(proxies=TrustedProxies([ip_network("192.0.2.1")]))
        self.limit()
        status, body = self.refused(request(Forwarded="for=1.2.3.4", X_Forwarded_For="5.6.7.8"))
        self.assertEqual(status, 400)
        self.assertIn(b"--proxy-headers", body)
        browser = self.connect(Forwarded="for=1.2.3.4")
        self.assertEqual(browser.status, 101)
        [client] = self.registry
        self.assertEqual(client.handshake.peer_host, "1.2.3.4")
        self.assertEqual(client.id, "192.0.2.1:5000")

    @given(
        st.dictionaries(
            st.sampled_from(
                [
                    *(*HEADERS, "Sec-WebSocket-Extensions", "Sec-WebSocket-Protocol", "Origin"),
                    *("Cookie", "Content-Length", "Forwarded", "X-Forwarded-For"),
                ]
            ),
            st.one_of(
                st.none(),
                st.text(st.characters(max_codepoint=255), max_size=30),
                st.text(st.sampled_from('websocketupgrade13,;="\\: /[]%-permessage'), max_size=30),
            ),
        ),
        st.sampled_from(["/ws", "/ws?a=b", "/ws/", "//ws", "*", "http://x/ws"]),
    )
    @settings(deadline=None)
    def test_whatever_comes(self, headers: dict[str, str | None], path: str) -> None:
        """Any request gets 101 or a 4xx status, never a 500."""
        self.setUp()
        self.request_info = RequestInfo(proxies=TrustedProxies([ip_network("192.0.2.1")]))
        self.limit(compression=True)
        browser = InMemoryBrowser(self.site)
        changes: Any = {name.replace("-", "_"): value for name, value in headers.items()}
        browser.send(request(path, **changes))
        if browser.transport.value():
            browser.read_response()
            self.assertIn(browser.status, (101, 400, 404, 405, 413, 426))
            self.assertEqual(browser.status == 101, len(self.registry) == 1)

    def test_subprotocols_are_left_to_php(self) -> None:
        """None is selected without PHP or an option; an empty header is allowed."""
        for offer in ("chat, superchat", "", " , "):
            browser = self.connect(Sec_WebSocket_Protocol=offer)
            self.assertEqual(browser.status, 101)
            self.assertNotIn(b"sec-websocket-protocol", browser.response.lower())
            browser.hang_up()

    def test_subprotocol_that_is_known(self) -> None:
        self.subprotocols = Subprotocols(["json"], self.clock.seconds)
        self.limit()
        browser = self.connect(Sec_WebSocket_Protocol="xml, json")
        self.assertEqual(browser.status, 101)
        self.assertIn(b"\r\nSec-WebSocket-Protocol: json\r\n", browser.response)
        browser.hang_up()
        self.assertNotIn(b"Sec-WebSocket-Protocol", self.connect().response)

    def test_offers_that_are_declined(self) -> None:
        """They do not lead to a refusal."""
        self.limit(compression=True)
        for offer in (
            "permessage-deflate; server_max_window_bits=8",
            "permessage-deflate; x",
            "permessage-bzip2",
            "x-webkit-deflate-frame",
        ):
            browser = self.connect(Sec_WebSocket_Extensions=offer)
            self.assertEqual(browser.status, 101)
            self.assertNotIn(b"extensions", browser.response.lower())
            browser.hang_up()

    def test_offers_that_are_none(self) -> None:
        """They matter only if compression is on."""
        for offer in ("ä", "a;=1", "(", "permessage-deflate; a=b=c"):
            for compression, status in ((True, 400), (False, 101)):
                self.limit(compression=compression)
                browser = self.connect(Sec_WebSocket_Extensions=offer)
                self.assertEqual(status, browser.status, offer)
                browser.hang_up()

    def test_offer_with_a_semicolon_at_its_end(self) -> None:
        for compression in (True, False):
            self.limit(compression=compression)
            browser = self.connect(Sec_WebSocket_Extensions="permessage-deflate;")
            self.assertEqual(101, browser.status)
            self.assertEqual(compression, b"permessage-deflate" in browser.response)
            browser.hang_up()

    def test_offer_that_is_taken(self) -> None:
        """The first that can be, with what the browser asks for, and no more."""
        self.limit(compression=True)
        browser = self.connect(
            Sec_WebSocket_Extensions="permessage-deflate; server_max_window_bits=8, "
            "permessage-deflate; client_max_window_bits=8; server_max_window_bits=9; "
            "server_no_context_takeover, permessage-deflate"
        )
        answer = browser.response.partition(b"Sec-WebSocket-Extensions: ")[2]
        parameters = answer.split(b"\r\n")[0].split(b"; ")
        self.assertEqual(
            sorted(parameters),
            [b"permessage-deflate", b"server_max_window_bits=9", b"server_no_context_takeover"],
        )

    def test_foreign_page(self) -> None:
        self.request_info = RequestInfo(["https://app.example.com"])
        self.limit()
        for origin in ("https://evil.example", "null"):
            status, body = self.refused(request(Origin=origin))
            self.assertEqual(status, 403)
            self.assertIn(b"--allow-origin", body)
        for number, welcome in enumerate(("https://app.example.com", "http://example.com", None)):
            peer = IPv4Address("TCP", "192.0.2.1", number)
            self.assertEqual(self.connect(peer, Origin=welcome).status, 101, welcome)

    def test_proxied(self) -> None:
        """The address of the client is the one that the proxy names."""
        browser = InMemoryBrowser(ProxyFactory(self.site, self.clock))
        browser.send(b"PROXY TCP4 203.0.113.9 192.0.2.80 4321 8080\r\n")
        browser.shake_hands()
        browser.send(frame(TEXT, b"hello"))
        [(client, message)] = self.relay.received
        self.assertEqual((client.id, message), ("203.0.113.9:4321", Message(b"hello")))
        browser.hang_up()
        self.assertEqual(self.relay.ends(), [(1006, "")])

    def test_tls(self) -> None:
        browser = InMemoryTlsBrowser(self.site, make_pem(self.mktemp())).shake_hands()
        browser.send(frame(TEXT, b"hello"))
        self.connection().send_message(b"there", False)
        self.assertEqual(self.relay.messages(), [b"hello"])
        self.assertEqual(browser.frames(), [(TEXT, b"there")])
        browser.hang_up()
        self.assertEqual(self.relay.ends(), [(1006, "")])

    def test_draining(self) -> None:
        self.table.is_draining = True
        status, body = self.refused(request())
        self.assertEqual(status, 503)
        self.assertIn(b"stop", body)

    def test_after_other_requests_on_the_connection(self) -> None:
        """As from a proxy that keeps its connections."""
        browser = InMemoryBrowser(self.site)
        browser.send(b"GET /elsewhere HTTP/1.1\r\nHost: x\r\n\r\n")
        browser.read_response()
        browser.shake_hands()
        browser.send(frame(TEXT, b"hello"))
        self.assertEqual([message for _, message in self.relay.received], [Message(b"hello")])

    def test_slow_request_head(self) -> None:
        browser = InMemoryBrowser(self.site)
        browser.send(request()[:-4])
        self.clock.advance(60)
        self.assertTrue(browser.is_cut)


@implementer(IBackend)
class FakePhp:
    """A backend that replies later; an :class:`phpgw.backend.interface.IBackend`.

    :ivar events: what it was told, oldest first.
    """

    def __init__(self) -> None:
        self.events: list[Event] = []
        self._replies: list[Deferred[Reply]] = []

    def ask(self, event: Event, follow: Follow | None = None) -> Deferred[Reply]:
        self.events.append(event)
        answer: Deferred[Reply] = Deferred()
        self._replies.append(answer)
        return answer

    def send(self, event: Event, receiver: ReplyReceiver) -> Cancellable:
        return send_by_asking(self, event, receiver)

    def withdraw(self, client_id: str) -> None:
        """It has been given everything."""

    def probe(self) -> Deferred[None]:
        return succeed(None)

    def told(self) -> list[tuple[str, bytes]]:
        """The events' types and messages."""
        return [(event.type, event.message) for event in self.events]

    def answer(self, status: int, body: bytes = b"", *headers: tuple[bytes, bytes]) -> None:
        """Reply to the oldest event."""
        self._replies.pop(0).callback(Reply(Head(status, headers), body))

    def command(self, *commands: dict[str, Any]) -> None:
        """Reply to it with these commands."""
        self.answer(200, json.dumps(commands).encode(), (b"content-type", _COMMANDS))

    def fail(self) -> None:
        """Fail on it."""
        self._replies.pop(0).errback(BackendBroken("PHP has left"))

    def close(self) -> Deferred[None]:
        """Nothing is kept open."""
        return succeed(None)


class AskingTests(WebSocketSiteTestCase):
    """Handshakes about which PHP is asked."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.metrics = Metrics()
        self.registry = Registry()
        self.request_info = RequestInfo()
        self.php = FakePhp()
        slices = TimeSlices(self.clock)
        self.replies = Replies(
            Dispatcher(self.registry, self.metrics, 10, slices),
            slices,
            ReplyPolicy(max_line=1000),
            self.metrics,
            wall_time=self.clock.seconds,
        )
        policy = RelayPolicy(
            concurrency=4,
            inbox_count=4,
            inbox_size=1000,
            reports_disconnects=True,
            no_client=handshake(),
        )
        self.relay = Relay(self.clock, self.php, self.replies, policy, self.metrics)
        self.limit()

    def admission(self) -> Admission:
        return Admission(self.relay, self.replies, asks_php=True)

    def come(self, browser: InMemoryBrowser | None = None, **headers: str) -> InMemoryBrowser:
        """Return a browser whose connection is pending."""
        browser = browser or InMemoryBrowser(self.site)
        browser.send(request(**headers))
        return browser

    def push(self, payload: bytes, client_id: str = "192.0.2.1:5000") -> None:
        client = self.registry.find(client_id)
        if client is not None:
            client.connection.send_message(payload, False)

    def test_granted(self) -> None:
        browser = self.come()
        self.assertEqual(browser.read_response(), b"")
        self.assertEqual((browser.response, self.php.told()), (b"", [("connect", b"")]))
        self.php.answer(200)
        browser.read_response()
        self.assertEqual(browser.status, 101)
        self.assertEqual(browser.frames(), [])
        browser.send(frame(TEXT, b"hello"))
        self.assertEqual(self.php.told()[1:], [("server", b"hello")])
        self.php.answer(200, b"there")
        self.clock.advance(0)
        self.assertEqual(browser.frames(), [(TEXT, b"there")])

    def test_headers_of_the_answer(self) -> None:
        browser = self.come(Sec_WebSocket_Protocol="soap, wamp")
        self.php.answer(
            204,
            b"",
            (b"set-cookie", b"a=1; Path=/"),
            (b"set-cookie", "b=ü".encode()),
            (b"sec-websocket-protocol", b"wamp"),
            (b"x-powered-by", b"PHP"),
        )
        browser.read_response()
        head, *lines = browser.response.split(b"\r\n")
        self.assertEqual(head, b"HTTP/1.1 101 Switching Protocols")
        for line in (
            b"Set-Cookie: a=1; Path=/",
            "Set-Cookie: b=ü".encode(),
            b"Sec-WebSocket-Protocol: wamp",
        ):
            self.assertIn(line, lines)
        self.assertNotIn(b"x-powered-by", browser.response.lower())

    def test_refused(self) -> None:
        """The response has PHP's body, and the HTTP connection can be used again."""
        browser = self.come()
        self.php.answer(
            401,
            b"<h1>Who are you?</h1>",
            (b"content-type", b"text/html"),
            (b"www-authenticate", b"Basic"),
            (b"set-cookie", b"a=1"),
            (b"set-cookie", b"b=2"),
            (b"x-powered-by", b"PHP"),
        )
        self.assertEqual(browser.read_response(), b"<h1>Who are you?</h1>")
        self.assertEqual(browser.status, 401)
        for line in (b"Content-Type: text/html", b"Content-Length: 21", b"Set-Cookie: a=1"):
            self.assertIn(line.lower(), browser.response.lower().split(b"\r\n"))
        self.assertEqual(browser.response.lower().count(b"\ncontent-type:"), 1)
        self.assertNotIn(b"x-powered-by", browser.response.lower())
        self.assertEqual(len(self.registry), 0)
        self.assertEqual(self.metrics.handshakes_refused["php"], 1)
        self.come(browser)
        self.php.answer(200)
        browser.read_response()
        self.assertEqual(browser.status, 101)
        self.assertEqual([kind for kind, _ in self.php.told()], ["connect", "connect"])

    def test_no_answer(self) -> None:
        for answer in (self.php.fail, lambda: self.php.answer(500, b"Stack trace")):
            browser = self.come()
            answer()
            self.assertNotIn(b"trace", browser.read_response())
            self.assertEqual(browser.status, 503)
            self.assertIn(b"retry-after", browser.response.lower())
            self.assertEqual(len(self.registry), 0)

    def test_redirected(self) -> None:
        browser = self.come()
        self.php.answer(302, b"", (b"location", b"/login"))
        self.assertIn(b"login", browser.read_response())
        self.assertEqual(browser.status, 403)
        self.assertNotIn(b"location", browser.response.lower())

    def test_pushed_to_before(self) -> None:
        """Messages that PHP sends while the connect event runs come before those of its reply."""
        browser = self.come()
        self.push(b"one")
        client = self.registry.find("192.0.2.1:5000")
        assert client is not None
        self.registry.join(client, "room")
        client.connection.send_message(b"\x02", True)
        self.assertEqual(browser.read_response(), b"")
        self.php.command({"op": "send", "message": "three"})
        browser.read_response()
        self.assertEqual(browser.status, 101)
        self.assertEqual(browser.frames(), [(TEXT, b"one"), (BINARY, b"\x02"), (TEXT, b"three")])
        self.assertEqual(self.registry.groups.members("room"), [client])

    def test_too_much_is_pushed_before(self) -> None:
        """The limit of unsent bytes applies, also to small messages."""
        for payload in (b"x" * 300, b""):
            browser = self.come()
            for _ in range(1000):
                self.push(payload)
            self.php.answer(200)
            browser.read_response()
            *messages, (opcode, close) = browser.frames()
            self.assertEqual((opcode, close[:2]), (CLOSE, b"\x03\xf0"))
            self.assertLess(len(messages), 30)
            browser.hang_up()
            self.php.answer(200)

    def test_closed_before(self) -> None:
        """It gets what was sent until then, and is closed as soon as it is open."""
        browser = self.come()
        self.push(b"one")
        self.connection().close(4000, "not you")
        self.connection().close(4001, "really")
        self.push(b"two")
        self.php.command({"op": "send", "message": "three"})
        browser.read_response()
        self.assertEqual(browser.status, 101)
        self.assertEqual(browser.frames(), [(TEXT, b"one"), (CLOSE, b"\x0f\xa0not you")])
        browser.send(frame(CLOSE, b"\x0f\xa0"))
        browser.hang_up()
        self.assertEqual(self.php.told()[1:], [("disconnect", b"not you")])
        self.assertEqual(self.php.events[1].code, 4000)

    def test_commands(self) -> None:
        """They run after the connection opens and before its first message."""
        browser = self.come()
        browser.send(frame(TEXT, b"early"))
        self.php.command(
            {"op": "bind", "user": "42"},
            {"op": "join", "group": "room"},
            {"op": "send", "to": {"group": "room"}, "message": "welcome"},
        )
        browser.read_response()
        self.assertEqual(browser.frames(), [(TEXT, b"welcome")])
        [_, event] = self.php.events
        self.assertEqual((event.message, event.identity.user), (b"early", "42"))

    def test_closed_by_the_answer(self) -> None:
        browser = self.come()
        self.php.command({"op": "close", "code": 4003, "reason": "full"})
        browser.read_response()
        self.assertEqual((browser.status, browser.close_frame()), (101, (4003, "full")))

    def test_early_frames(self) -> None:
        """PHP gets them in order, after it has granted the handshake."""
        browser = self.come()
        browser.send(frame(TEXT, b"one") + frame(TEXT, b"two")[:3])
        browser.send(frame(TEXT, b"two")[3:] + frame(PING, b"?"))
        self.assertEqual(self.php.told(), [("connect", b"")])
        self.php.answer(204)
        browser.read_response()
        self.assertEqual(browser.frames(), [(PONG, b"?")])
        self.php.answer(204)
        self.assertEqual(self.php.told()[1:], [("server", b"one"), ("server", b"two")])

    def test_many_early_frames(self) -> None:
        """Reading pauses at a limit; no message is lost."""
        self.limit(max_message_size=100_000)
        pem = make_pem(self.mktemp())
        for browser in (InMemoryBrowser(self.site), InMemoryTlsBrowser(self.site, pem)):
            self.come(browser)
            for number in range(2):
                browser.send(frame(TEXT, b"%d" % number * 10_000))
            self.assertFalse(browser.is_read_from)
            self.php.answer(204)
            browser.read_response()
            self.assertEqual(browser.status, 101)
            for number in range(2):
                self.assertEqual(self.php.told()[-1], ("server", b"%d" % number * 10_000))
                self.php.answer(204)
            self.assertTrue(browser.is_read_from)
            browser.send(frame(TEXT, b"late"))
            self.assertEqual(self.php.told()[-1], ("server", b"late"))
            self.php.answer(204)
            browser.hang_up()
            self.php.answer(204)

    def test_many_early_pings(self) -> None:
        browser = self.come()
        browser.send(frame(PING, b"x" * 100) * 200)
        self.assertFalse(browser.is_read_from)
        self.php.answer(204)
        browser.read_response()
        self.assertEqual(browser.frames(), [(PONG, b"x" * 100)] * 200)
        self.assertTrue(browser.is_read_from)

    def test_full_inbox_of_early_frames(self) -> None:
        browser = self.come()
        browser.send(b"".join(frame(TEXT, b"%d" % number) for number in range(9)))
        self.php.answer(204)
        self.assertFalse(browser.is_read_from)
        for number in range(9):
            self.assertEqual(self.php.told()[-1], ("server", b"%d" % number))
            self.php.answer(204)
        self.assertTrue(browser.is_read_from)

    def test_early_close(self) -> None:
        browser = self.come()
        browser.send(frame(CLOSE, b"\x0f\xa0bye"))
        self.php.command({"op": "send", "message": "welcome"})
        browser.read_response()
        self.assertEqual([opcode for opcode, _ in browser.frames()], [TEXT, CLOSE])
        browser.hang_up()
        self.assertEqual(self.php.told()[1:], [("disconnect", b"bye")])

    def test_browser_leaves(self) -> None:
        """It is removed at once; if PHP grants the handshake later, it gets the disconnect."""
        browser = self.come()
        browser.hang_up(cleanly=False)
        self.assertEqual((len(self.registry), self.table.connections()), (0, []))
        other = self.come()
        self.php.command(
            {"op": "join", "group": "room"},
            {"op": "send", "message": "welcome"},
            {"op": "send", "to": {"all": True}, "message": "one more"},
        )
        self.assertEqual(self.registry.groups.members("room"), [])
        self.assertEqual(browser.read_response(), b"")
        self.assertEqual(self.php.told()[-1], ("disconnect", b""))
        self.assertEqual(self.php.events[-1].code, 1006)
        self.php.answer(200)
        other.read_response()
        self.assertEqual(other.frames(), [])
        self.assertEqual(self.metrics.clients_now, 1)

    def test_browser_leaves_and_is_refused(self) -> None:
        """PHP gets no disconnect of a refused client."""
        for answer in (self.php.fail, lambda: self.php.answer(403)):
            browser = self.come()
            browser.hang_up(cleanly=False)
            answer()
            self.assertEqual(browser.read_response(), b"")
        self.assertEqual([kind for kind, _ in self.php.told()], ["connect", "connect"])
        self.assertEqual(self.metrics.handshakes_refused.total(), 0)

    def test_refused_and_gone(self) -> None:
        browser = self.come()
        self.php.answer(403)
        browser.hang_up()
        self.assertEqual(self.php.told(), [("connect", b"")])

    def test_id_in_use(self) -> None:
        """Also by a pending connection."""
        self.come()
        other = self.come()
        other.read_response()
        self.assertEqual(other.status, 409)
        self.assertEqual(len(self.php.events), 1)

    def test_draining_meanwhile(self) -> None:
        """The handshake is refused, and PHP, which granted it, gets the disconnect."""
        browser = self.come()
        browser.send(frame(TEXT, b"early"))
        self.table.is_draining = True
        for connection in self.table.connections():
            connection.pause_reading()
            connection.close(1001, "the gateway stops")
            connection.abort()
        self.assertFalse(browser.is_cut)
        self.php.command({"op": "send", "message": "welcome"})
        browser.read_response()
        self.assertEqual(browser.status, 503)
        self.assertEqual(self.php.told()[1:], [("disconnect", b"the gateway stops")])
        self.assertEqual(self.table.connections(), [])
        self.successResultOf(self.table.when_empty())

    def test_proxied(self) -> None:
        browser = InMemoryBrowser(ProxyFactory(self.site, self.clock))
        browser.send(b"PROXY TCP4 203.0.113.9 192.0.2.80 4321 8080\r\n")
        self.come(browser)
        browser.send(frame(TEXT, b"early"))
        self.php.answer(204)
        browser.read_response()
        browser.send(frame(TEXT, b"late"))
        self.php.answer(204)
        self.assertEqual(self.php.told()[1:], [("server", b"early"), ("server", b"late")])
        self.assertEqual(self.php.events[-1].identity.client_id, "203.0.113.9:4321")
        self.php.answer(204)
        browser.hang_up()
        self.assertEqual(self.php.told()[-1], ("disconnect", b""))

    def test_bad_end(self) -> None:
        """After any error, the connection is removed and PHP gets one disconnect."""
        browser = self.come()
        self.registry.join = None  # type: ignore[method-assign, assignment]
        self.php.command({"op": "join", "group": "room"})
        self.assertEqual(len(self.flushLoggedErrors(TypeError)), 1)
        self.assertTrue(browser.is_cut)
        browser.hang_up(cleanly=False)
        self.php.answer(204)
        self.assertEqual((len(self.registry), self.table.connections()), (0, []))
        self.assertEqual(self.php.told(), [("connect", b""), ("disconnect", b"")])

    def test_crowd_that_comes_and_goes(self) -> None:
        """While PHP hangs, clients that disconnect leave nothing behind and free their places."""
        policy = RelayPolicy(
            concurrency=4, inbox_count=4, inbox_size=1000, max_waiting=20, no_client=handshake()
        )
        self.relay = Relay(self.clock, self.php, self.replies, policy, self.metrics)
        self.limit()
        statuses = []

        def come_and_go(count: int) -> None:
            for _ in range(count):
                browser = self.come(Cookie="x" * 1000)
                browser.read_response()
                statuses.append(browser.response[9:12])
                browser.hang_up()

        come_and_go(100)
        tracemalloc.start()
        self.addCleanup(tracemalloc.stop)
        come_and_go(300)
        gc.collect()
        self.assertLess(tracemalloc.get_traced_memory()[0], 30_000)
        # Handshakes have half of the turns.
        self.assertEqual((2, 0), (len(self.php.events), self.metrics.events_waiting_now))
        self.assertEqual(statuses, [b""] * 400)

    def test_no_time_limit_but_phps(self) -> None:
        """The HTTP server's timeout for requests no longer applies."""
        browser = self.come()
        self.clock.advance(100)
        browser.send(frame(PING))
        self.clock.advance(100)
        self.assertFalse(browser.is_cut)
        self.php.answer(204)
        self.clock.advance(100)
        self.assertFalse(browser.is_cut)
