"""Tests for :mod:`phpgw.web.strict_http`: invalid requests, and timeouts."""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request

from phpgw.web.request import is_too_large
from tests.support.fakes import Answer, Exchange, request_head

LIMIT = 1000
_HOST = b"Host: localhost"
_CHUNKED = b"Transfer-Encoding: chunked"


class _Counter(Resource):
    """A resource that keeps its requests, and echoes their bodies."""

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()
        self.requests: list[Request] = []
        self.is_slow = False

    @property
    def count(self) -> int:
        return len(self.requests)

    def render(self, request: Request) -> bytes | int:
        self.requests.append(request)
        if self.is_slow:
            return NOT_DONE_YET
        assert request.content is not None
        return b"[%b]" % request.content.read()


class ChannelTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.root = _Counter()
        self.exchange = Exchange(self.root, limit=LIMIT)

    def refusal(self, data: bytes) -> Answer:
        """Return the response to an invalid request. Later bytes are not read."""
        self.exchange.send(data)
        answer = self.exchange.answer()
        self.assertTrue(self.exchange.transport.disconnecting)
        self.assertEqual("close", answer.headers["Connection"])
        self.assertEqual("text/plain; charset=utf-8", answer.headers["Content-Type"])
        self.assertEqual("nosniff", answer.headers["X-Content-Type-Options"])
        self.assertEqual(1, len(answer.body.splitlines()))
        said = self.exchange.transport.value()
        self.exchange.send(request_head("POST", "/"))
        self.assertEqual(said, self.exchange.transport.value())
        self.assertEqual(0, self.root.count)
        return answer

    def assert_refused(self, status: int, *cases: bytes) -> None:
        for data in cases:
            self.setUp()
            self.assertEqual(status, self.refusal(data).status, data[:100])


def post(*headers: bytes, body: bytes = b"", line: bytes = b"POST / HTTP/1.1") -> bytes:
    return b"\r\n".join([line, _HOST, *headers, b"", body])


class WritingTests(ChannelTestCase):
    def test_in_order(self) -> None:
        for data in (
            post(),
            post(b"Content-Length: 3", body=b"abc"),
            post(b"content-length:3", body=b"abc"),
            post(_CHUNKED, body=b"3\r\nabc\r\n0\r\n\r\n"),
            post(
                b"transfer-encoding:\tChunked ", body=b"1;x=y\r\na\r\n2\r\nbc\r\n0\r\nX: y\r\n\r\n"
            ),
            post(line=b"POST / HTTP/1.0"),
            b"\r\n" + post(),
        ):
            self.setUp()
            self.exchange.send(data)
            answer = self.exchange.answer()
            self.assertEqual(200, answer.status)
            self.assertEqual(b"[abc]" if b"abc" in data or b"bc" in data else b"[]", answer.body)

    def test_two_ways_to_find_the_end(self) -> None:
        """RFC 9112, section 6.3: a proxy in front may have used the other one."""
        length = b"Content-Length: 5"
        self.assert_refused(
            400,
            *(post(length, _CHUNKED, body=b"0\r\n\r\n"), post(_CHUNKED, length, body=b"0\r\n\r\n")),
            *(post(length, length, body=b"abcde"), post(length, b"Content-Length: 6", body=b"a")),
            *(post(length, b"Content-Length: 6", b"X: y", body=b"abcde"),),
            *(post(_CHUNKED, _CHUNKED, body=b"0\r\n\r\n"),),
            post(_CHUNKED, body=b"0\r\n\r\n", line=b"POST / HTTP/1.0"),
        )

    def test_lengths(self) -> None:
        self.assert_refused(
            400,
            *(
                post(b"Content-Length:" + length, b"X: y", body=b"abcde")
                for length in (
                    *(b"", b" ", b"+5", b"-5", b"0x5", b"5.0", b"5, 5", b"5,", b"1_0", b"five"),
                    *(b"\xb2", b'"5"', b"5;", b"5 5"),
                )
            ),
        )

    def test_transfer_encodings(self) -> None:
        self.assert_refused(
            400,
            *(
                post(b"Transfer-Encoding: " + name, b"X: y", body=b"5\r\nabcde\r\n0\r\n\r\n")
                for name in (
                    *(
                        b"",
                        b"identity",
                        b"gzip",
                        b"gzip, chunked",
                        b"chunked, identity",
                        b"xchunked",
                    ),
                    *(
                        b"chunked, chunked",
                        b"chunked;a=b",
                        b'"chunked"',
                        b"\x0bchunked",
                        b"chunked\0",
                    ),
                    *(b"chunked\xa0", b"chunked\x85"),
                )
            ),
        )

    def test_chunks(self) -> None:
        self.assert_refused(
            400,
            *(
                post(_CHUNKED, body=body + b"\r\n0\r\n\r\n")
                for body in (
                    *(
                        b"0x5\r\nabcde",
                        b"+5\r\nabcde",
                        b"-5\r\nabcde",
                        b"5 \r\nabcde",
                        b"g\r\nabcde",
                    ),
                    *(b"5\r\nabcdeXX", b"5;a\nb\r\nabcde", b"5;\x0b\r\nabcde", b"\r\nabcde"),
                    *(b"5;" + b"a" * 10000 + b"\r\nabcde", b"0\r\n" + b"X: y\r\n" * 20000),
                )
            ),
        )

    def test_headers(self) -> None:
        self.assert_refused(
            400,
            *(
                post(header, b"X: y")
                for header in (
                    *(
                        b"X-A : v",
                        b"X-A",
                        b": v",
                        b"X A: v",
                        b"X(A): v",
                        b"X\xc3\xa9: v",
                        b"X\x0b: v",
                    ),
                    *(b"X-A: v\0", b"X-A: v\n w", b"X-A: v\rX-B: w", b"X-A: v\nX-B: w", b"X\n: v"),
                    *(
                        b"X-A: v\r\n folded",
                        b"X-A: v\r\n\tfolded",
                        b"Host: a\r\n b",
                        b"X-A: v\r\n ",
                    ),
                )
            ),
            post().replace(b"POST / HTTP/1.1\r\n", b"POST / HTTP/1.1\r\n folded: v\r\n"),
        )

    def test_request_lines(self) -> None:
        self.assert_refused(
            400,
            *(
                post(line=line)
                for line in (
                    *(
                        b"POST / HTTP/1.2",
                        b"POST / HTTP/2.0",
                        b"POST / HTTP/0.9",
                        b"POST / http/1.1",
                    ),
                    *(
                        b"POST /",
                        b"POST",
                        b" POST / HTTP/1.1",
                        b"POST  / HTTP/1.1",
                        b"P<T / HTTP/1.1",
                    ),
                    *(b"POST\t/\tHTTP/1.1", b"POST /a b HTTP/1.1", b"POST /\xff HTTP/1.1"),
                    *(b"POST /\0 HTTP/1.1", b"POST / HTTP/1.1 ", b"PO\0ST / HTTP/1.1", b"\r\n\r\n"),
                )
            ),
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            b"\x16\x03\x01\x02\x00\x01\r\n",
        )

    def test_targets(self) -> None:
        """A path begins with a slash. twisted.web would drop any first character."""
        for target in ("send", "\\send", "xsend", "*", "localhost:80", "?/", "ftp://localhost/"):
            self.assert_refused(400, request_head("POST", target), request_head("CONNECT", target))

    def test_absolute_form(self) -> None:
        """RFC 9112, section 3.2.2: as a client sends it to a proxy."""
        for target, path, host in (
            ("http://localhost/send?a=/b", "/send?a=/b", "localhost"),
            ("HTTPS://LOCALHOST:80/send", "/send", "LOCALHOST:80"),
            ("ws://[::1]:80/ws", "/ws", "[::1]:80"),
            ("http://a.example", "/", "a.example"),
            ("http://a.example?q", "/?q", "a.example"),
            ("http://a.example//ws", "//ws", "a.example"),
        ):
            self.setUp()
            self.exchange.send(request_head("POST", target, [("Host", "other.example")]))
            self.assertEqual(200, self.exchange.answer().status, target)
            [request] = self.root.requests
            self.assertEqual(path.encode(), request.uri)
            self.assertEqual(host.encode(), request.getHeader(b"Host"))

    def test_absolute_form_of_nobody(self) -> None:
        for authority in ("", ":80", "user@localhost", "a b", "localhost:x", "<b>", "a%41", "[::1"):
            self.assert_refused(400, request_head("POST", f"http://{authority}/"))
        # What the header says has to be in order all the same.
        for headers in ([("Host", "")], [("Host", "a b")], [("Host", "a"), ("Host", "a")]):
            self.assert_refused(400, request_head("POST", "http://localhost/", headers))

    def test_deep_paths(self) -> None:
        """A deep path gets a 404 quickly."""
        self.exchange.send(request_head("POST", "/a" * 32))
        self.assertEqual(200, self.exchange.answer().status)
        for target in ("/" * 33, "/a" * 8000, "/clients" + "/%2F" * 50):
            self.assert_refused(404, request_head("POST", target))

    def test_handshake_with_a_body(self) -> None:
        """It gets its response before the body, and no further request is read."""
        for header in (b"Content-Length: 5", _CHUNKED):
            self.setUp()
            self.exchange.send(post(b"Upgrade: WebSocket", header))
            answer = self.exchange.answer()
            self.assertEqual(200, answer.status)
            self.assertEqual("close", answer.headers["Connection"])
            self.assertTrue(self.exchange.transport.disconnecting)
            said = self.exchange.transport.value()
            self.exchange.send(post())
            self.assertEqual(said, self.exchange.transport.value())
            self.assertEqual(1, self.root.count)

    def test_hosts(self) -> None:
        """RFC 9112, section 3.2."""
        for headers in (
            [("Host", "")],
            [("Host", "localhost"), ("Host", "localhost")],
            [("Host", "a b")],
            [("Host", "localhost:x")],
            [("Host", "user@localhost")],
            [("Host", "localhost/")],
            [("Host", "<script>")],
        ):
            self.assert_refused(400, request_head("POST", "/", headers))

    def test_no_host_in_an_old_request(self) -> None:
        self.exchange.send(b"POST / HTTP/1.0\r\n\r\n")
        self.assertEqual(200, self.exchange.answer().status)


class SizeTests(ChannelTestCase):
    def test_url(self) -> None:
        self.assert_refused(
            414, post(line=b"POST /?" + b"a" * 20_000 + b" HTTP/1.1"), b"a" * 20_000
        )

    def test_headers(self) -> None:
        self.assert_refused(
            431,
            *(post(b"X-A: " + b"a" * size) for size in (17_000, 1_000_000)),
            *(post(*[b"X-A: " + b"a" * 1000] * count) for count in (20, 200)),
            post(*[b"X-A: a"] * 600),
            b"POST / HTTP/1.1\r\nX-A: " + b"a" * 20_000,
        )

    def test_body(self) -> None:
        """A body that is far too large gets a response before it is read."""
        for length in (b"8001", b"9" * 18, b"9" * 19, b"9" * 5000):
            self.setUp()
            self.exchange.send(post(b"Content-Length: " + length, b"Expect: 100-continue"))
            answer = self.exchange.answer()
            self.assertEqual("close", answer.headers["Connection"])
            self.assertTrue(is_too_large(self.root.requests[0]))
            self.assertTrue(self.exchange.transport.is_half_closed)
            said = self.exchange.transport.value()
            for _ in range(100):
                self.exchange.send(post() * 100)
            self.assertEqual(said, self.exchange.transport.value())
            self.assertEqual("producing", self.exchange.transport.producerState)
            self.exchange.clock.advance(60)
            self.assertTrue(self.exchange.transport.disconnected)

    def test_body_in_the_end(self) -> None:
        """A slow sender gets the response, once."""
        for slow in (False, True):
            self.setUp()
            self.root.is_slow = slow
            self.exchange.send(post(_CHUNKED))
            for _ in range(8):
                self.exchange.send(b"%x\r\n%b\r\n" % (LIMIT, b"x" * LIMIT))
            self.assertEqual(0, self.root.count)
            self.exchange.send(b"1\r\nx\r\n1\r\nx\r\n")
            self.exchange.send(b"0\r\n\r\n" + post())
            if slow:
                self.root.requests[0].write(b"[]")
                self.root.requests[0].finish()
            self.assertEqual(1, self.root.count)
            self.assertEqual(1, self.exchange.transport.value().count(b"HTTP/1.1 "))
            self.assertTrue(self.exchange.transport.is_half_closed)

    def test_what_follows_on_the_last(self) -> None:
        """The kernel would reset a closed connection with unread bytes."""
        self.exchange.send(post(b"Connection: close"))
        self.assertFalse(self.exchange.transport.is_half_closed)
        self.setUp()
        self.exchange.send(post(b"Connection: close") * 2)
        self.assertEqual(1, self.root.count)
        self.assertTrue(self.exchange.transport.is_half_closed)


class TimeTests(ChannelTestCase):
    def assert_given_up(self, after: float, *, status: int | None) -> None:
        """Assert that the connection is closed after these seconds, and not earlier."""
        self.exchange.clock.advance(after - 0.1)
        self.assertFalse(self.exchange.transport.disconnecting)
        self.exchange.transport.clear()
        late = self.exchange.metrics.requests_timed_out
        self.exchange.clock.advance(0.2)
        self.assertTrue(self.exchange.transport.disconnecting)
        late = self.exchange.metrics.requests_timed_out - late
        self.assertEqual(0 if self.root.count and status is None else 1, late)
        if status is None:
            self.assertEqual(b"", self.exchange.transport.value())
        else:
            self.assertEqual(status, self.exchange.answer().status)

    def drip(self, data: bytes, seconds: int) -> None:
        """Send one byte each second."""
        for position in range(seconds):
            self.exchange.send(data[position : position + 1])
            self.exchange.clock.advance(1)

    def test_silence(self) -> None:
        self.assert_given_up(10, status=None)

    def test_slow_head(self) -> None:
        """The timeout works even if bytes arrive all the time."""
        self.drip(post(b"X-A: " + b"a" * 100), 9)
        self.assert_given_up(1, status=408)

    def test_slow_body(self) -> None:
        self.exchange.send(post(b"Content-Length: 500"))
        self.drip(b"a" * 100, 59)
        self.assert_given_up(1, status=408)

    def test_slow_chunks(self) -> None:
        self.exchange.send(post(_CHUNKED))
        self.drip(b"1\r\na\r\n" * 20, 59)
        self.assert_given_up(1, status=408)

    def test_between_requests(self) -> None:
        """A connection waits for the next request, which has its own timeout."""
        self.exchange.send(post())
        self.assert_given_up(60, status=None)
        self.setUp()
        self.exchange.send(post())
        self.exchange.clock.advance(59)
        self.drip(post(b"X-A: " + b"a" * 100), 9)
        self.assert_given_up(1, status=408)

    def test_second_request_in_time(self) -> None:
        self.drip(post(), 9)
        self.exchange.send(post()[9:])
        self.exchange.clock.advance(9)
        self.exchange.send(post(b"Content-Length: 2", body=b"a"))
        self.exchange.clock.advance(59)
        self.exchange.send(b"b")
        self.assertEqual(2, self.root.count)
        self.assert_given_up(60, status=None)

    def test_times_are_changed_without_a_search(self) -> None:
        """To make a call earlier, a reactor searches all calls."""
        sooner: list[object] = []
        for data in (
            *(post(), post(), b"POST", post(b"Content-Length: 2")[4:], b"a", b"b", post()),
            post(b"Content-Length: 9999") + b"a" * 999,
        ):
            for call in self.exchange.clock.getDelayedCalls():
                call.resetter = sooner.append  # type: ignore[attr-defined]
            self.exchange.send(data)
        self.assertEqual(5, self.root.count)
        self.assertEqual([], sooner)

    def test_who_does_not_read(self) -> None:
        """A peer that does not read its response is dropped."""
        self.exchange.send(b"POST")
        self.exchange.clock.advance(10)
        self.assertFalse(self.exchange.transport.disconnected)
        self.exchange.clock.advance(15)
        self.assertTrue(self.exchange.transport.disconnected)

    def test_afterwards(self) -> None:
        """No delayed call remains."""
        for data in (b"", b"POST", post(), post(b"X"), post(b"Content-Length: 9")):
            self.setUp()
            self.exchange.send(data)
            self.exchange.hang_up()
            # But for the site's own clock.
            self.assertEqual(1, len(self.exchange.clock.getDelayedCalls()))


class PipeliningTests(ChannelTestCase):
    def bodies(self) -> list[bytes]:
        parts = self.exchange.transport.value().split(b"\r\n\r\n")
        return [part.split(b"HTTP/")[0] for part in parts[1:]]

    def test_in_order(self) -> None:
        """Requests are handled in order, in any number and pieces."""
        bodies = [b"%d" % number for number in range(200)]
        data = b"".join(post(b"Content-Length: %d" % len(body), body=body) for body in bodies)
        for size in (len(data), 1000, 7):
            self.setUp()
            for start in range(0, len(data), size):
                self.exchange.send(data[start : start + size])
            self.assertEqual([b"[%b]" % body for body in bodies], self.bodies())

    def test_up_to_the_first_that_is_none(self) -> None:
        good, bad = post(b"Content-Length: 1", body=b"a"), post(b"Content-Length: x")
        self.exchange.send(good + good + bad + good)
        self.assertEqual([b"[a]", b"[a]", b"This is no proper HTTP request.\n"], self.bodies())
        self.assertEqual(2, self.root.count)

    def test_nothing_after_the_last(self) -> None:
        self.exchange.send(post(b"Connection: close") + post())
        self.exchange.send(post())
        self.assertEqual([b"[]"], self.bodies())


class PropertyTests(ChannelTestCase):
    @given(
        st.lists(
            st.one_of(
                st.sampled_from(
                    [
                        *(
                            b"POST / HTTP/1.1\r\n",
                            b"\r\n",
                            b"\n",
                            b"\r",
                            b" ",
                            b"\0",
                            b"Host: a\r\n",
                        ),
                        *(
                            b"Content-Length: 5\r\n",
                            b"Content-Length: 0\r\n",
                            b"abcde",
                            b"0\r\n\r\n",
                        ),
                        *(b"Transfer-Encoding: chunked\r\n", b"5\r\nabcde\r\n", b": ", b"X: y\r\n"),
                    ]
                ),
                st.binary(max_size=5),
            ),
            max_size=20,
        )
    )
    def test_whatever_comes(self, parts: list[bytes]) -> None:
        """The result is the same in one piece or byte by byte, and never a failure."""
        data = b"".join(parts)
        self.setUp()
        self.exchange.send(data)
        whole, count = self.exchange.transport.value(), self.root.count
        self.setUp()
        for position in range(len(data)):
            if not self.exchange.transport.disconnecting:
                self.exchange.send(data[position : position + 1])
        self.assertEqual(without_date(whole), without_date(self.exchange.transport.value()))
        self.assertEqual(count, self.root.count)
        self.assertEqual(count, whole.count(b"HTTP/1.1 200 OK"))


def without_date(data: bytes) -> list[bytes]:
    return [line for line in data.split(b"\r\n") if not line.startswith(b"Date: ")]
