"""Tests for :mod:`phpgw.web.request`: limits on bodies, and common headers."""

import tempfile

from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import Resource
from twisted.web.server import Request

from phpgw.web.request import is_too_large
from tests.support.fakes import FORM, Exchange, request, request_head

LIMIT = 1000


class _Scale(Resource):
    """Responds with the body that it got."""

    isLeaf = True

    def render(self, request: Request) -> bytes:
        assert request.content is not None
        kept = len(request.content.read())
        return b"too large, %d bytes kept" % kept if is_too_large(request) else b"%d bytes" % kept


class BodyLimitTests(SynchronousTestCase):
    def weigh(self, length: int) -> bytes:
        return request(_Scale(), "POST", "/", body=b"x" * length, limit=LIMIT).body

    def test_within(self) -> None:
        for length in (0, 1, LIMIT):
            self.assertEqual(b"%d bytes" % length, self.weigh(length))

    def test_beyond(self) -> None:
        """With one more byte, nothing of the body is kept."""
        for length in (LIMIT + 1, LIMIT * 8):
            self.assertEqual(b"too large, 0 bytes kept", self.weigh(length))

    def test_byte_by_byte(self) -> None:
        """The body can arrive in any pieces."""
        for length, expected in ((LIMIT, b"1000 bytes"), (LIMIT + 1, b"too large, 0 bytes kept")):
            exchange = Exchange(_Scale(), limit=LIMIT)
            exchange.send(request_head("POST", "/", length=length))
            for _ in range(length):
                exchange.send(b"x")
            self.assertEqual(expected, exchange.answer().body)

    def test_chunked(self) -> None:
        """The body can be chunked."""
        for length, expected in ((LIMIT, b"1000 bytes"), (LIMIT + 1, b"too large, 0 bytes kept")):
            exchange = Exchange(_Scale(), limit=LIMIT)
            headers = [("Transfer-Encoding", "chunked"), ("Content-Length", "")]
            exchange.send(request_head("POST", "/", headers))
            for start in range(0, length, 100):
                part = b"x" * min(100, length - start)
                exchange.send(b"%x\r\n%b\r\n" % (len(part), part))
            exchange.send(b"0\r\n\r\n")
            self.assertEqual(expected, exchange.answer().body)

    def test_next_request(self) -> None:
        """The connection stays open for the next request."""
        exchange = Exchange(_Scale(), limit=LIMIT)
        exchange.send(request_head("POST", "/", length=LIMIT + 1) + b"x" * (LIMIT + 1))
        exchange.transport.clear()
        exchange.send(request_head("POST", "/", length=3) + b"abc")
        self.assertEqual(b"3 bytes", exchange.answer().body)

    def test_far_beyond(self) -> None:
        """A body of many times the limit gets its response early."""
        exchange = Exchange(_Scale(), limit=LIMIT)
        headers = [("Transfer-Encoding", "chunked"), ("Content-Length", "")]
        exchange.send(request_head("POST", "/", headers))
        for _ in range(8):
            exchange.send(b"%x\r\n%b\r\n" % (LIMIT, b"x" * LIMIT))
        self.assertFalse(exchange.transport.disconnecting)
        exchange.send(b"2\r\nxx\r\n0\r\n\r\n" + request_head("POST", "/"))
        self.assertTrue(exchange.transport.disconnecting)
        self.assertEqual(1, exchange.transport.value().count(b"HTTP/1.1 "))
        self.assertEqual(b"too large, 0 bytes kept", exchange.answer().body)

    def test_memory_alone(self) -> None:
        """A long body is not written to disk, which may be read-only."""
        self.patch(tempfile, "TemporaryFile", None)
        size = 300_000
        headers = [("Transfer-Encoding", "chunked"), ("Content-Length", "")]
        chunks = b"%x\r\n%b\r\n0\r\n\r\n" % (size, b"x" * size)
        for data in (
            request_head("POST", "/", length=size) + b"x" * size,
            request_head("POST", "/", headers) + chunks,
        ):
            exchange = Exchange(_Scale(), limit=size)
            exchange.send(data)
            self.assertEqual(b"300000 bytes", exchange.answer().body)

    def test_not_wanted(self) -> None:
        """Without access to the API, the body is not kept, and the response comes at its end."""
        exchange = Exchange(_Scale(), limit=LIMIT, wants_body=lambda request: False)
        exchange.send(request_head("POST", "/", length=LIMIT) + b"x" * (LIMIT - 1))
        self.assertEqual(b"", exchange.transport.value())
        exchange.send(b"x")
        self.assertEqual(b"too large, 0 bytes kept", exchange.answer().body)
        exchange.transport.clear()
        exchange.send(request_head("POST", "/"))
        self.assertEqual(b"0 bytes", exchange.answer().body)

    def test_wanted_by_head(self) -> None:
        """The whole head is available for the decision."""
        seen = []

        def wants(request: Request) -> bool:
            seen.append((request.method, request.clientproto, request.getHeader(b"X-A")))
            return False

        exchange = Exchange(_Scale(), limit=LIMIT, wants_body=wants)
        exchange.send(request_head("POST", "/", [("X-A", "b")], length=1))
        exchange.send(b"x" + request_head("GET", "/"))
        self.assertEqual([(b"POST", b"HTTP/1.1", b"b")], seen)

    def test_any_path(self) -> None:
        """A form that is too large is not parsed on any path."""
        root = Resource()
        root.putChild(b"send", _Scale())
        body = b"a=1&" * LIMIT
        answer = request(root, "POST", "/send", headers=[FORM], body=body, limit=LIMIT)
        self.assertEqual(b"too large, 0 bytes kept", answer.body)


class HeaderTests(SynchronousTestCase):
    def test_headers(self) -> None:
        """A browser does not treat a text as HTML, or show it to other sites."""
        for method, headers in (("GET", []), ("OPTIONS", [("Origin", "http://evil.example")])):
            answer = request(_Scale(), method, "/", headers=headers)
            self.assertEqual("nosniff", answer.headers["X-Content-Type-Options"])
            self.assertEqual("phpgw", answer.headers["Server"])
            for name in answer.headers:
                self.assertFalse(name.lower().startswith("access-control-"), name)
