"""Tests for :mod:`phpgw.backend.http.short_response`."""

from random import Random
from typing import Any

from twisted.internet.defer import CancelledError
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from phpgw.backend.errors import BackendError, ReplyTooLarge
from phpgw.backend.http.short_response import parse_short_response
from tests.support.reply_recorder import ReplyRecorder
from tests.unit.backend.http.test_backend import HttpTestCase

_OK = b"HTTP/1.1 200 OK\r\n"
_LENGTH = _OK + b"Content-Length: 2\r\n\r\n"
_CHUNKED = _OK + b"Transfer-Encoding: chunked\r\n\r\n"
_STARTS = (_OK, _OK, _OK, b"HTTP/1.1 404 No\r\n", b"HTTP/1.1 204 No\r\n", b"HTTP/1.1 304 No\r\n")
_ODD_STARTS = (b"HTTP/1.0 200 OK\r\n", b"HTTP/1.1 100 Go on\r\n", b"HTTP/1.1 200 OK\n", b"nonsense")
_LINES = (
    *(b"Content-Length: 5\r\n", b"Content-Length: 0\r\n", b"Transfer-Encoding: chunked\r\n"),
    *(b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n", b"Connection: keep-alive\r\n"),
    *(b"Connection: close\r\n", b"Content-Encoding: gzip\r\n", b"Content-Encoding: identity\r\n"),
    *(b"Content-Type: text/html \r\n", b"Set-Cookie: a=1\r\n", b" folded\r\n", b"X: y\n", b"\n"),
    *(b"Upgrade: x\r\n", b"X:\ry\r\n", b"Content-Length: 5, 5\r\n", b"\xff: \xff\r\n", b"\r\n"),
    *(b"Transfer-Encoding: gzip\r\n", b"Transfer-Encoding: gzip, chunked\r\n"),
)
_PLAIN_LINES = (
    *(b"Content-Type: text/html \r\n", b"Set-Cookie: a=1\r\n", b"Connection: keep-alive\r\n"),
    *(b"X: \xc3\xa9\t\r\n", b"Content-Encoding: identity\r\n", b"X-Folded: a\r\n b\r\n"),
    *(b"Keep-Alive: timeout=5\r\n", b"SERVER:nginx\r\n", b"Connection: close\r\n"),
)
_BODIES = (
    *(b"hello", b"", b"5\r\nhello\r\n0\r\n\r\n", b"0\r\n\r\n", b"5\r\nhello\r\n0\r\n\r\n"),
    *(b"hello\r\n\r\n", b"0\r\n\r\n0\r\n\r\n", b"05\r\nhello\r\n0\r\n\r\n", b"5\r\nhello\r\n0\r\n"),
    *(b"5 \r\nhello\r\n0\r\n\r\n", b"5;a=b\r\nhello\r\n0\r\n\r\n", b"4\r\nhello\r\n0\r\n\r\n"),
    *(b"1\r\nh\r\n1\r\ne\r\n0\r\n\r\n", b"5\r\nhello\r\n0\r\nX: y\r\n\r\n", b"a" * 1001),
    *(b"5\nhello\n0\n\n", b"c\r\nh\r\n0\r\n\r\nabc\r\n0\r\n\r\n", b"0x5\r\nhello\r\n0\r\n\r\n"),
)


class ShortResponseTests(SynchronousTestCase):
    def test_usual(self) -> None:
        for data in (
            _LENGTH + b"ok",
            _CHUNKED + b"2\r\nok\r\n0\r\n\r\n",
            _OK + b"X: y\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\nok",
        ):
            short = parse_short_response(data)
            assert short is not None
            self.assertEqual((200, 2, b"ok"), (short.head.status, short.length, short.body))

    def test_size(self) -> None:
        for size in (0, 1, 15, 16, 255, 65536):
            body = b"x" * size
            chunk = b"%x\r\n%b\r\n" % (size, body) if size else b""
            for data in (
                _OK + b"Content-Length: %d\r\n\r\n%b" % (size, body),
                _CHUNKED + chunk + b"0\r\n\r\n",
            ):
                short = parse_short_response(data)
                assert short is not None
                self.assertEqual(body, short.body)

    def test_anything_else(self) -> None:
        for data in (
            *(b"", _OK, _LENGTH, _LENGTH + b"o", _LENGTH + b"ok!", _CHUNKED, _CHUNKED + b"2\r\nok"),
            _CHUNKED + b"2\r\nok\r\n0\r\n\r\n" + _OK,
            _OK + b"Connection: close\r\nContent-Length: 2\r\n\r\nok",
            _OK + b"Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\nok",
            _OK + b"X: %b\r\nContent-Length: 2\r\n\r\nok" % (b"y" * 2048),
            b"HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\nok",
        ):
            self.assertIsNone(parse_short_response(data), data)


class DifferentialTests(HttpTestCase):
    """A response that comes at once means the same as one that comes in two pieces."""

    def test_random_responses(self) -> None:
        random = Random(1)
        found = 0
        for _ in range(3000):
            data = _random_response(random)
            found += parse_short_response(data) is not None
            self.assertEqual(self.receive(data[:1], data[1:]), self.receive(data), data)
        self.assertGreater(found, 300)

    def test_cuts_and_changes(self) -> None:
        random = Random(2)
        for _ in range(3000):
            data = bytearray(random.choice((_LENGTH + b"ok", _CHUNKED + b"2\r\nok\r\n0\r\n\r\n")))
            for _ in range(random.randrange(3)):
                data[random.randrange(len(data))] = random.choice(b"\r\n 0259:;\x00\xff")
            cut = bytes(data[: random.choice((len(data), random.randrange(1, len(data) + 1)))])
            self.assertEqual(self.receive(cut[:1], cut[1:]), self.receive(cut), cut)

    def test_left(self) -> None:
        """An event that ends at the head of its reply gets nothing of the body."""
        pieces: list[bytes] = []

        def follow(head: object, flow: object) -> Any:
            asked.cancel()
            return pieces.append

        asked = self.ask(follow=follow)
        server = self.accept()
        server.send(_LENGTH[:1])
        server.send(_LENGTH[1:] + b"ok")
        self.failureResultOf(asked, CancelledError)
        self.assertTrue(server.is_aborted)
        self.assertEqual([], pieces)

    def test_too_large(self) -> None:
        """A reply above the limit is streamed, or fails, also if it comes at once."""
        data = _OK + b"Content-Length: 1001\r\n\r\n" + b"x" * 1001
        follower = ReplyRecorder()
        asked = self.ask(follow=follower)
        self.accept().send(data)
        self.assertEqual(b"", self.successResultOf(asked).body)
        self.assertEqual(1001, sum(map(len, follower.pieces)))
        self.use()
        asked = self.ask()
        self.accept().send(data)
        self.failureResultOf(asked, ReplyTooLarge)

    def receive(self, *reads: bytes) -> object:
        """Return all that can be seen of a response: the reply, and what becomes of the connection.

        It is received once as a whole, and once streamed; what comes at once need not be streamed.
        """
        seen: list[object] = []
        for follower in (None, ReplyRecorder()):
            self.use()
            results: list[Any] = []
            self.ask(follow=follower).addBoth(results.append)
            server = self.accept()
            for read in reads:
                if read:
                    server.send(read)
            seen += [server.is_aborted, server.disconnecting]
            if not results:
                server.hang_up()
            [result] = results
            if isinstance(result, Failure):
                self.assertIsInstance(result.value, BackendError)
                seen.append((type(result.value), str(result.value)))
            else:
                pieces = [] if follower is None else follower.pieces
                seen.append((result.head, b"".join((*pieces, result.body))))
            # Whether the connection is used again.
            server.request()
            self.ask()
            seen.append(bool(server.request()))
        return seen


def _random_response(random: Random) -> bytes:
    """Return a response that is well formed in one of two cases."""
    if random.random() < 0.5:
        framing, body = random.choice(((_LINES[0], _BODIES[0]), (_LINES[2], _BODIES[2])))
        lines = [framing, *random.sample(_PLAIN_LINES, random.randrange(4))]
        random.shuffle(lines)
        return b"%b%b\r\n%b" % (random.choice(_STARTS), b"".join(lines), body)
    start = random.choice(_ODD_STARTS if random.random() < 0.2 else _STARTS)
    lines = random.choices(_LINES, k=random.choice((1, 1, 2, 3, 4)))
    data = b"%b%b\r\n%b" % (start, b"".join(lines), random.choice(_BODIES))
    return data + random.choice((b"", b"", b"", b"", b"x", data))
