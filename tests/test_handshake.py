"""Tests for :mod:`phpgw.handshake`."""

from phpgw.client import Message
from tests.browser_end import TEXT, BrowserEnd, frame, request
from tests.test_websocket import EdgeTestCase


class HandshakeTests(EdgeTestCase):
    def refused(self, sent: bytes) -> tuple[int, bytes]:
        """The status and text with which a handshake is refused."""
        browser = BrowserEnd(self.site)
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
        browser = BrowserEnd(self.site)
        browser.send(b"GET /ws HTTP/1.1\r\nHost: x\r\n\r\n")
        body = browser.read_response()
        self.assertEqual(browser.response.split(b"\r\n")[0], b"HTTP/1.1 426 Upgrade Required")
        self.assertIn(b"new WebSocket(", body)
        self.assertEqual(self.metrics.handshakes_refused, 1)

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
            ("POST", request(method="POST"), 405, b""),
            ("umlaut", request(Sec_WebSocket_Extensions="ä"), 400, b"Extensions"),
        ]:
            got, body = self.refused(sent)
            self.assertEqual(got, status, name)
            self.assertIn(hint, body, name)

    def test_two_keys_or_hosts(self) -> None:
        for header in (b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", b"Host: other"):
            sent = request()[:-2] + header + b"\r\n\r\n"
            self.assertEqual(self.refused(sent)[0], 400, header)

    def test_versions_that_would_do(self) -> None:
        browser = BrowserEnd(self.site)
        browser.send(request(Sec_WebSocket_Version="99"))
        browser.read_response()
        self.assertIn(b"Sec-Websocket-Version: 13", browser.response.title())

    def test_control_characters(self) -> None:
        """Which others might take for the end of a line, and so of a header."""
        for character in "\x0b\x0c\x1c\x1d\x1e\x7f":
            sent = request(X_Test=f"value{character}X-User: admin")
            self.assertEqual(self.refused(sent)[0], 400, repr(character))

    def test_smuggled_header(self) -> None:
        """NEL is part of many a character in UTF-8, and never the end of a line."""
        value = "caf\xc3\x85\x85Sec-WebSocket-Extensions: permessage-deflate"
        self.limit(compression=True)
        browser = self.connect(X_Test=value)
        self.assertEqual(browser.status, 101)
        self.assertNotIn(b"deflate", browser.response)

    def test_draining(self) -> None:
        self.factory.draining = True
        status, body = self.refused(request())
        self.assertEqual(status, 503)
        self.assertIn(b"stop", body)

    def test_after_other_requests_on_the_connection(self) -> None:
        """As from a proxy that keeps its connections."""
        browser = BrowserEnd(self.site)
        browser.send(b"GET /elsewhere HTTP/1.1\r\nHost: x\r\n\r\n")
        browser.read_response()
        browser.shake_hands()
        browser.send(frame(TEXT, b"hello"))
        self.assertEqual([message for _, message in self.relay.received], [Message(b"hello")])

    def test_slow_request_head(self) -> None:
        browser = BrowserEnd(self.site)
        browser.send(request()[:-4])
        self.clock.advance(60)
        self.assertTrue(browser.is_cut)
