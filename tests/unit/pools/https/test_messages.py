"""Tests for :mod:`phpgw.pools.https.messages`."""

from twisted.trial.unittest import SynchronousTestCase

from phpgw.pools.https.fields import AddedFields
from phpgw.pools.https.messages import ApiRequestHead, ApiResponseHead, encode_chunk
from tests.unit.pools.https.test_fields import fields


def request(*pairs: tuple[bytes, bytes], target: bytes = b"/") -> ApiRequestHead:
    return ApiRequestHead(b"POST", target, "1.1", fields(*pairs))


def response(status: int, *pairs: tuple[bytes, bytes]) -> ApiResponseHead:
    return ApiResponseHead(status, b"Fine", "1.1", fields(*pairs))


class RequestHeadTests(SynchronousTestCase):
    def test_encode(self) -> None:
        """The server is asked under its own name, with added fields in place of PHP's."""
        head = request((b"Host", b"localhost"), (b"X-Key", b"none"), (b"Accept", b"a"))
        self.assertEqual(
            b"POST /b HTTP/1.1\r\nHost: api.example\r\nAccept: a\r\nX-Key: real\r\n\r\n",
            head.encode(
                b"/b", b"api.example", AddedFields(b"X-Key: real\r\n", frozenset((b"x-key",)))
            ),
        )

    def test_framing(self) -> None:
        """The end of the request is said in one way."""
        none = AddedFields()
        for pair, line, has_body in (
            ((b"Content-Length", b"3"), b"Content-Length: 3\r\n", True),
            ((b"Content-Length", b"0"), b"Content-Length: 0\r\n", False),
            ((b"Transfer-Encoding", b"chunked"), b"Transfer-Encoding: chunked\r\n", True),
            ((b"TE", b"trailers"), b"TE: trailers\r\nConnection: TE\r\n", False),
        ):
            head = request(pair)
            self.assertEqual(
                b"POST / HTTP/1.1\r\nHost: h\r\n" + line + b"\r\n", head.encode(b"/", b"h", none)
            )
            self.assertEqual(has_body, head.has_body)

    def test_split_target(self) -> None:
        for target, parts in (
            (b"/a?b", (None, b"/a?b")),
            (b"http://API.example:8/a?b", (b"api.example:8", b"/a?b")),
            (b"https://api.example", (b"api.example", b"/")),
            (b"http://api.example?b", (None, b"http://api.example?b")),
            (b"ftp://api.example/", (None, b"ftp://api.example/")),
        ):
            self.assertEqual(parts, request(target=target).split_target())


class ResponseHeadTests(SynchronousTestCase):
    def test_encode(self) -> None:
        head = response(201, (b"Content-Length", b"3"), (b"X", b"y"), (b"Keep-Alive", b"timeout=3"))
        start = b"HTTP/1.1 201 Fine\r\nX: y\r\n"
        self.assertEqual(start + b"Content-Length: 3\r\n\r\n", head.encode())
        self.assertEqual(
            start + b"Content-Length: 3\r\nConnection: close\r\n\r\n", head.encode(is_last=True)
        )
        self.assertEqual(
            start + b"Transfer-Encoding: chunked\r\n\r\n", head.encode(is_chunked=True)
        )

    def test_no_content(self) -> None:
        """There is no length in a 204: RFC 9110, section 8.6. A 304 may have that of the page."""
        length = (b"Content-Length", b"3")
        self.assertEqual(b"HTTP/1.1 204 Fine\r\n\r\n", response(204, length).encode())
        self.assertIn(b"Content-Length: 3", response(304, length).encode())

    def test_has_body(self) -> None:
        for status, method, has_body in (
            *((200, b"GET", True), (200, b"HEAD", False), (404, b"POST", True)),
            *((204, b"GET", False), (304, b"GET", False)),
        ):
            self.assertEqual(has_body, response(status).has_body(method))

    def test_seconds_kept(self) -> None:
        """A connection is not used up to the last second that the server names."""
        for value, seconds in (
            *((b"timeout=5", 4), (b"timeout=5, max=100", 4), (b"max=3, timeout=60", 59)),
            *((b"", None), (b"max=3", None), (b"timeout=", None), (b"notimeout=5", None)),
        ):
            self.assertEqual(seconds, response(200, (b"Keep-Alive", value)).seconds_kept)


class ChunkTests(SynchronousTestCase):
    def test_encode(self) -> None:
        self.assertEqual(b"1a\r\n" + b"x" * 26 + b"\r\n", encode_chunk(b"x" * 26))
