"""Tests for :mod:`phpgw.service` and :mod:`phpgw.gateway`: a whole gateway in memory."""

from ipaddress import ip_network
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectError, ConnectionDone
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.logger import capturedLogs, formatEvent
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from phpgw.service import make_gateway
from phpgw.settings import Settings
from phpgw.settings.option import InvalidOption
from tests.support.fakes import LOCAL
from tests.support.in_memory_browser import TEXT, InMemoryBrowser, frame, request

_URL = "http://127.0.0.1:8088/websocket.php"
_OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nreply"
_BAD_GATEWAY = b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n"


class GatewayTestCase(SynchronousTestCase):
    def start(self, **settings: Any) -> Any:
        """Start a gateway; ``self.sites`` are what its ports serve, in order."""
        self.reactor = MemoryReactorClock()
        settings = {"php_probe": False, **settings}
        gateway: Any = make_gateway(Settings(php_url=_URL, **settings), self.reactor)
        gateway.privilegedStartService()
        gateway.startService()
        self.sites = [factory for _, factory, _, _ in self.reactor.tcpServers]
        return gateway

    def get(self, site: Any, path: str) -> tuple[int, bytes]:
        browser = InMemoryBrowser(site)
        browser.send(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        body = browser.read_response()
        return browser.status, body

    def post(self, site: Any, path: str) -> int:
        """What PHP does, from this machine."""
        caller = InMemoryBrowser(site, LOCAL)
        caller.send(f"POST {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        caller.read_response()
        return caller.status

    def php(self) -> "PhpEnd":
        """The web server's end of the connection that the gateway opened last."""
        _, _, factory, _, _ = self.reactor.tcpClients[-1]
        return PhpEnd(factory.buildProtocol(None))


class PhpEnd:
    """A web server with PHP behind it."""

    def __init__(self, protocol: Any) -> None:
        self._protocol = protocol
        self.transport = StringTransport()
        protocol.makeConnection(self.transport)

    def answer(self, data: bytes = _OK) -> None:
        self._protocol.dataReceived(data)

    def hang_up(self) -> None:
        self._protocol.connectionLost(Failure(ConnectionDone()))


class AssemblyTests(GatewayTestCase):
    def test_message_and_reply(self) -> None:
        self.start()
        browser = InMemoryBrowser(self.sites[0]).shake_hands()
        browser.send(frame(TEXT, b"name"))
        php = self.php()
        self.assertIn(b"message=name", php.transport.value())
        php.answer()
        self.reactor.advance(0)
        self.assertEqual(browser.frames(), [(TEXT, b"reply")])

    def test_front_page_says_what_is_where(self) -> None:
        self.start(ws_path="/chat")
        status, body = self.get(self.sites[0], "/")
        self.assertEqual(status, 200)
        for path in (b"/chat", b"/send", b"/healthz"):
            self.assertIn(path, body)

    def test_path_of_several_segments(self) -> None:
        self.start(ws_path="/app/live/ws")
        site = self.sites[0]
        browser = InMemoryBrowser(site)
        browser.send(b"GET /app/live/ws HTTP/1.1\r\nHost: x\r\n\r\n")
        browser.read_response()
        self.assertEqual(browser.status, 426)
        for path in ("/ws", "/app", "/app/live", "/app/live/ws2"):
            self.assertEqual(self.get(site, path)[0], 404, path)

    def test_other_paths(self) -> None:
        """The path is compared as it is written: PHP is told it, and routes by it."""
        self.start()
        for path in (
            *(
                "/ws/",
                "/ws/x",
                "//ws",
                "/ws//",
                "/./ws",
                "/x/../ws",
                "/ws/../admin",
                "/ws/..%2fadmin",
            ),
            *("/%77s", "/ws%2f", "/ws%00", "/ws;x", "/WS", "/ws%3fa", "/ws#a"),
        ):
            browser = InMemoryBrowser(self.sites[0])
            browser.send(request().replace(b"GET /ws ", f"GET {path} ".encode()))
            browser.read_response()
            self.assertEqual(404, browser.status, path)
        for path in ("/ws", "/ws?", "/ws?a=/ws/../x"):
            browser = InMemoryBrowser(self.sites[0])
            browser.send(request().replace(b"GET /ws ", f"GET {path} ".encode()))
            browser.read_response()
            self.assertEqual(101, browser.status, path)
            browser.hang_up()

    def test_link_local_address(self) -> None:
        """A zone goes with it: RFC 6874. The page there is one of the same site."""
        self.start()
        for host in ("[fe80::1%eth0]:8080", "[fe80::1%25eth0]", "[fe80::1]"):
            browser = InMemoryBrowser(self.sites[0])
            with capturedLogs() as events:
                browser.shake_hands(Host=host, Origin="http://[fe80::1]:8080")
            self.assertEqual(101, browser.status, host)
            self.assertFalse([event for event in events if "remedy" in event], host)
            browser.hang_up()

    def test_handshake_that_went_astray(self) -> None:
        """It is logged where it should have gone, not for each, and never at length."""
        self.start(ws_path="/app/ws")
        with capturedLogs() as events:
            for path in (b"/w'x" + b"x" * 1000, b"/ws", b"/app"):
                browser = InMemoryBrowser(self.sites[0])
                browser.send(request().replace(b"GET /ws ", b"GET " + path + b" "))
                browser.read_response()
                self.assertEqual(404, browser.status)
        [line] = [formatEvent(event) for event in events if "ours" in event]
        self.assertIn("/w'xxx", line)
        self.assertIn("/app/ws (--ws-path)", line)
        self.assertLess(len(line), 300)

    def test_health(self) -> None:
        self.start()
        self.assertEqual(self.get(self.sites[0], "/healthz"), (200, b"ok\n"))

    def test_ready(self) -> None:
        self.start(api_listen=("tcp:8081:interface=127.0.0.1",))
        for site in self.sites:
            self.assertEqual(self.get(site, "/readyz"), (200, b"ready\n"))

    def test_ready_once_php_has_answered(self) -> None:
        """A probe will do, or an event."""
        self.start(php_probe=True)
        site = self.sites[0]
        self.assertEqual((503, b"PHP has not answered yet\n"), self.get(site, "/readyz"))
        probe = self.php()
        self.assertTrue(probe.transport.value().startswith(b"OPTIONS /"))
        probe.answer()
        self.assertEqual((200, b"ready\n"), self.get(site, "/readyz"))
        self.reactor.pump([1.0] * 14)
        self.assertEqual(1, len(self.reactor.tcpClients))
        # Nobody asks anything else meanwhile.
        self.reactor.pump([1.0] * 2)
        self.php().answer(_BAD_GATEWAY)
        self.assertEqual(503, self.get(site, "/readyz")[0])

    def test_ready_once_php_has_answered_an_event(self) -> None:
        self.start(php_probe=True)
        site = self.sites[0]
        self.php().answer(_BAD_GATEWAY)
        status, body = self.get(site, "/readyz")
        self.assertEqual(503, status)
        self.assertIn(b"its web server gets no answer from PHP", body)
        browser = InMemoryBrowser(site).shake_hands()
        browser.send(frame(TEXT, b"name"))
        self.php().answer()
        self.assertEqual((200, b"ready\n"), self.get(site, "/readyz"))

    def test_not_ready_while_it_stops(self) -> None:
        gateway = self.start()
        InMemoryBrowser(self.sites[0]).shake_hands()
        gateway.stopService()
        self.assertEqual(
            self.get(self.sites[0], "/readyz"), (503, b"the gateway is starting or stopping\n")
        )
        self.assertEqual(self.get(self.sites[0], "/healthz")[0], 200)

    def test_not_ready_while_events_are_held_back(self) -> None:
        self.start()
        site = self.sites[0]
        browser = InMemoryBrowser(site).shake_hands()
        self.assertEqual(self.post(site, "/hold?seconds=5"), 200)
        self.assertEqual(self.get(site, "/readyz"), (503, b"events are held back (/hold)\n"))
        self.assertEqual(self.get(site, "/healthz")[0], 200)
        browser.send(frame(TEXT, b"name"))
        self.assertEqual(self.reactor.tcpClients, [])
        self.assertEqual(self.post(site, "/release"), 200)
        self.assertEqual(self.get(site, "/readyz")[0], 200)
        php = self.php()
        php.answer()
        self.reactor.advance(0)
        self.assertEqual(browser.frames(), [(TEXT, b"reply")])

    def test_not_ready_while_php_does_not_answer(self) -> None:
        self.start(breaker_failures=1)
        site = self.sites[0]
        browser = InMemoryBrowser(site).shake_hands()
        browser.send(frame(TEXT, b"name"))
        for delay in (0.1, 0.2, 0.4, 0.8, 0):
            factory: Any = self.reactor.tcpClients[-1][2]
            factory.clientConnectionFailed(None, Failure(ConnectError()))
            self.reactor.advance(delay)
        status, body = self.get(site, "/readyz")
        self.assertEqual(status, 503)
        self.assertEqual(body, b"PHP does not answer; it is asked again in 1 s\n")

    def test_api_of_its_own(self) -> None:
        """Where --api-listen is given, browsers' port has no /send."""
        self.start(api_listen=("tcp:8081:interface=127.0.0.1",))
        public, private = self.sites
        self.assertEqual(self.get(public, "/send")[0], 404)
        self.assertEqual(self.get(private, "/send")[0], 405)
        self.assertEqual(self.get(private, "/ws")[0], 404)

    def test_several_ports(self) -> None:
        self.start(listen=("tcp:8080", "tcp:8443:interface=127.0.0.1"))
        ports = [(port, interface) for port, _, _, interface in self.reactor.tcpServers]
        # Of IPv6 too, where there is one.
        self.assertIn(ports.pop(0), [(8080, "::"), (8080, "")])
        self.assertEqual(ports, [(8443, "127.0.0.1")])

    def test_start_is_logged(self) -> None:
        """Where it listens, where PHP is, and who may push."""
        with capturedLogs() as events:
            self.start(api_listen=("tcp:8081",))
        [summary] = [event["summary"] for event in events if "summary" in event]
        for fact in ("tcp:8080", "/ws", _URL, "tcp:8081", "this machine"):
            self.assertIn(fact, summary)

    def test_development(self) -> None:
        """With --dev, messages are in the log, and at debug there is a line for each event."""
        for settings, expected in (
            ({"dev": True, "log_level": "debug"}, {"From", "To", "replied"}),
            ({"log_level": "debug"}, {"replied"}),
            ({}, set()),
        ):
            gateway = self.start(**settings)
            with capturedLogs() as events:
                browser = InMemoryBrowser(self.sites[0]).shake_hands()
                browser.send(frame(TEXT, b"hello"))
                self.php().answer()
            lines = [formatEvent(each) for each in events if each["log_level"].name == "debug"]
            found = {word for word in ("From", "To", "replied") if word in " ".join(lines)}
            self.assertEqual(expected, found)
            gateway.stopService()

    def test_development_is_logged(self) -> None:
        """A line says so at the start, and another one if other machines may connect."""
        with capturedLogs() as events:
            self.start(dev=True)
        lines = [formatEvent(each) for each in events if each["log_level"].name == "warn"]
        self.assertIn("development mode (--dev), which is not for visitors", lines[0])
        self.assertIn("tcp:8080 may be open to other machines", lines[1])

    def summary(self, **settings: Any) -> str:
        """What the log says of the API when the gateway starts."""
        with capturedLogs() as events:
            self.start(**settings)
        [summary] = [event["summary"] for event in events if "summary" in event]
        self.assertIsInstance(summary, str)
        return str(summary).rpartition("; ")[2]

    def test_who_may_push_is_logged(self) -> None:
        token = Path(self.mktemp())
        token.write_text("secret")
        own, proxies = ("tcp:8081",), (ip_network("127.0.0.0/8"),)
        here = "all programs of this machine, without a token"
        for callers, settings in (
            (f"{here}, until a browser comes through a proxy", {}),
            (f"on tcp:8081, open to {here}", {"api_listen": own}),
            (f"on tcp:8081, open to {here}", {"api_listen": own, "trusted_proxy": proxies}),
            ("open to nobody, as --trusted-proxy is here", {"trusted_proxy": proxies}),
            (f"{here}, and to whom a proxy", {"trusted_proxy": proxies, "api_trust_local": True}),
            ("open to whoever has the token, and nobody else", {"api_token_file": token}),
            (
                f"open to whoever has the token, and {here}",
                {"api_token_file": token, "api_trust_local": True},
            ),
        ):
            self.assertIn(callers, self.summary(**settings))

    def come_through_a_proxy(self) -> None:
        """A browser comes by a proxy that tells nothing of it."""
        with capturedLogs():
            browser = InMemoryBrowser(self.sites[0], LOCAL)
            browser.shake_hands(Host="127.0.0.1:8080", Origin="https://example.com")
        self.assertEqual(101, browser.status)

    def test_port_with_a_proxy(self) -> None:
        """Who comes through it must not push."""
        self.start()
        self.assertEqual(200, self.post(self.sites[0], "/release"))
        self.come_through_a_proxy()
        self.assertEqual(403, self.post(self.sites[0], "/release"))

    def test_api_of_its_own_beside_a_proxy(self) -> None:
        self.start(
            api_listen=("tcp:8081:interface=127.0.0.1",), trusted_proxy=(ip_network("127.0.0.1"),)
        )
        self.come_through_a_proxy()
        self.assertEqual(200, self.post(self.sites[1], "/release"))

    def test_trusted_machine_beside_a_proxy(self) -> None:
        self.start(api_trust_local=True)
        self.come_through_a_proxy()
        self.assertEqual(200, self.post(self.sites[0], "/release"))

    def test_handshake_that_is_refused(self) -> None:
        """The page of a site that may not connect shuts nobody out."""
        self.start(allow_origin=("https://app.example.com",))
        browser = InMemoryBrowser(self.sites[0], LOCAL)
        browser.shake_hands(Host="127.0.0.1:8080", Origin="https://evil.example")
        self.assertEqual(403, browser.status)
        self.assertEqual(200, self.post(self.sites[0], "/release"))

    def test_endpoint_that_is_none(self) -> None:
        with self.assertRaises(InvalidOption) as caught:
            self.start(listen=("ssl:8443:privateKey=/nowhere/key.pem",))
        self.assertIn("--listen: got 'ssl:8443:privateKey=/nowhere/key.pem'", str(caught.exception))

    def test_empty_token_file(self) -> None:
        path = Path(self.mktemp())
        path.write_text("\n")
        with self.assertRaises(InvalidOption) as caught:
            self.start(api_token_file=path)
        self.assertIn("a file with a secret", str(caught.exception))


class DrainTests(GatewayTestCase):
    """What SIGTERM sets off."""

    def setUp(self) -> None:
        self.gateway = self.start(drain_timeout=10)
        self.browser = InMemoryBrowser(self.sites[0]).shake_hands()

    def drain(self) -> Deferred[None]:
        stopped: Deferred[None] = self.gateway.stopService()
        return stopped

    def test_idle_client_is_sent_away_at_once(self) -> None:
        stopped = self.drain()
        self.reactor.advance(0.1)
        self.assertEqual(self.browser.close_frame()[0], 1001)
        self.assertNoResult(stopped)
        self.browser.hang_up()
        self.successResultOf(stopped)

    def test_message_with_php_is_answered_first(self) -> None:
        self.browser.send(frame(TEXT, b"1") + frame(TEXT, b"2"))
        php = self.php()
        stopped = self.drain()
        self.assertEqual(self.browser.frames(), [])
        php.answer()
        self.reactor.advance(0)
        self.assertEqual(self.browser.frames(), [(TEXT, b"reply")])
        php.answer()
        self.reactor.advance(0.1)
        (opcode, payload), (_, close) = self.browser.frames()
        self.assertEqual((opcode, payload, close[:2]), (TEXT, b"reply", b"\x03\xe9"))
        self.browser.hang_up()
        php.hang_up()
        self.successResultOf(stopped)

    def test_php_that_takes_too_long(self) -> None:
        self.browser.send(frame(TEXT, b"1"))
        self.php()
        stopped = self.drain()
        for _ in range(79):
            self.reactor.advance(0.1)
        self.assertEqual(self.browser.frames(), [])
        self.reactor.advance(0.2)
        self.assertEqual(self.browser.close_frame()[0], 1001)
        self.browser.hang_up()
        self.reactor.advance(2)
        self.successResultOf(stopped)

    def test_client_that_does_not_answer(self) -> None:
        stopped = self.drain()
        self.reactor.pump([0.1, 1])
        self.assertTrue(self.browser.is_cut)
        self.browser.hang_up()
        self.successResultOf(stopped)

    def test_no_new_clients(self) -> None:
        self.drain()
        self.reactor.advance(0.1)
        self.browser.hang_up()
        self.assertEqual(InMemoryBrowser(self.sites[0]).shake_hands().status, 503)
