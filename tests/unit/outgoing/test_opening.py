"""Tests for :mod:`phpgw.outgoing.opening`."""

from twisted.trial.unittest import SynchronousTestCase

from phpgw.outgoing.opening import HandshakeFailed, OpeningRequest, accept_of
from phpgw.settings.outgoing_url import parse_server_url

_KEY = b"dGhlIHNhbXBsZSBub25jZQ=="
_HEAD = {
    "Upgrade": "websocket",
    "Connection": "keep-alive, Upgrade",
    # RFC 6455, section 1.3.
    "Sec-WebSocket-Accept": "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
}


def request(url: str = "ws://example.com/a?b=c", **fields: object) -> OpeningRequest:
    return OpeningRequest(parse_server_url(url), _KEY, **fields)  # type: ignore[arg-type]


def head(status: str = "HTTP/1.1 101 Switching Protocols", **changes: str | None) -> bytes:
    headers = {**_HEAD, **{name.replace("_", "-"): value for name, value in changes.items()}}
    lines = [f"{name}: {value}" for name, value in headers.items() if value is not None]
    return "\r\n".join((status, *lines)).encode("latin-1")


class RequestTests(SynchronousTestCase):
    def test_lines(self) -> None:
        opening = request(subprotocols=("mqtt", "v2"), headers=(("Origin", "https://example.org"),))
        first, *lines = opening.encode().decode().split("\r\n")
        self.assertEqual("GET /a?b=c HTTP/1.1", first)
        self.assertEqual(["", ""], lines[-2:])
        headers = dict(line.split(": ", 1) for line in lines[:-2])
        self.assertTrue(headers.pop("User-Agent").startswith("phpgw/"))
        self.assertEqual(
            {
                "Host": "example.com",
                "Upgrade": "websocket",
                "Connection": "Upgrade",
                "Sec-WebSocket-Key": _KEY.decode(),
                "Sec-WebSocket-Version": "13",
                "Sec-WebSocket-Protocol": "mqtt, v2",
                "Origin": "https://example.org",
            },
            headers,
        )

    def test_host(self) -> None:
        for url, host in (
            ("wss://example.com", "example.com"),
            ("wss://example.com:443/", "example.com"),
            ("wss://Example.com:8443/", "example.com:8443"),
            ("ws://[::1]:9000/x", "[::1]:9000"),
            ("ws://[::1]/x", "[::1]"),
        ):
            self.assertIn(f"\r\nHost: {host}\r\n".encode(), request(url).encode())

    def test_own_user_agent(self) -> None:
        text = request(headers=(("user-agent", "me"),)).encode()
        self.assertEqual(1, text.lower().count(b"user-agent"))


class ResponseTests(SynchronousTestCase):
    def test_accepted(self) -> None:
        self.assertEqual(_HEAD["Sec-WebSocket-Accept"].encode(), accept_of(_KEY))
        self.assertEqual("", request().check(head()))
        chosen = request(subprotocols=("mqtt",)).check(head(Sec_WebSocket_Protocol="mqtt"))
        self.assertEqual("mqtt", chosen)

    def test_refused(self) -> None:
        for response in (
            head("HTTP/1.1 200 OK"),
            head("HTTP/1.1 302 Found", Location="http://127.0.0.1/"),
            head("HTTP/1.1 403"),
            head("HTTP/1.0 101 Switching Protocols"),
            head("HTTP/1.1 101xx"),
            head("nonsense"),
            b"",
            b"\xff\xfe",
            head(Upgrade=None),
            head(Upgrade="h2c"),
            head(Connection="close"),
            head(Connection=None),
            head(Sec_WebSocket_Accept=None),
            head(Sec_WebSocket_Accept="x"),
            head() + b"\r\nSec-WebSocket-Accept: x",
            head(Sec_WebSocket_Protocol="mqtt"),
            head(Sec_WebSocket_Extensions="permessage-deflate"),
            head() + b"\r\nno colon",
            head() + b"\r\n folded: x",
        ):
            self.assertRaises(HandshakeFailed, request().check, response)
