"""Tests for :mod:`phpgw.backend.fastcgi.short_reply`."""

from random import Random

from twisted.trial.unittest import SynchronousTestCase

from phpgw.backend.errors import BackendError
from phpgw.backend.fastcgi.cgi import split_response
from phpgw.backend.fastcgi.records import FastCgiDecoder
from phpgw.backend.fastcgi.short_reply import parse_short_reply
from phpgw.backend.reply import Reply
from tests.unit.backend.fastcgi.test_backend import PLAIN, STDERR, STDOUT, end, record

_MAX_SIZE = 1000
_PIECES = (
    *(b"\r\n", b"\n", b"\r", b":", b" ", b"", b"Status", b": 404 Not Found", b"a: b", b"\xff"),
    *(b"\r\n\r\n", b"Content-Type: text/html", b"Content-Encoding: gzip", PLAIN, b"hello"),
)


def decode(data: bytes) -> Reply | None:
    """Return the reply as the decoder for any reply has it; ``None`` if it is none."""
    decoder = FastCgiDecoder(1 << 20)
    try:
        if not decoder.receive(data) or decoder.is_followed:
            return None
        if decoder.app_status or decoder.protocol_status or decoder.errors:
            return None
        return Reply(*split_response(decoder.output))
    except BackendError:
        return None


class ShortReplyTests(SynchronousTestCase):
    def test_usual(self) -> None:
        for padding in (0, 7):
            for ending in (end(), record(STDOUT) + end()):
                data = record(STDOUT, PLAIN + b"hello", padding=padding) + ending
                reply = parse_short_reply(data, _MAX_SIZE)
                self.assertIsNotNone(reply)
                self.assertEqual(decode(data), reply)

    def test_size(self) -> None:
        for size in (0, 1, 255, 256, _MAX_SIZE):
            data = record(STDOUT, PLAIN + b"x" * size) + end()
            self.assertEqual(decode(data), parse_short_reply(data, _MAX_SIZE))
        data = record(STDOUT, PLAIN + b"x" * (_MAX_SIZE + 1)) + end()
        self.assertIsNone(parse_short_reply(data, _MAX_SIZE))

    def test_anything_else(self) -> None:
        whole = record(STDOUT, PLAIN + b"hello")
        for other in (
            *(b"", whole, end(), whole + end()[:-1], whole + end() + b"x", whole + end() * 2),
            *(whole + whole + end(), record(STDERR, b"x") + end(), whole + record(STDERR) + end()),
        ):
            self.assertIsNone(parse_short_reply(other, _MAX_SIZE), other)

    def test_random_output(self) -> None:
        """A reply is the same as the one that is decoded the long way."""
        random = Random(1)
        found = 0
        for _ in range(20_000):
            output = b"".join(random.choices(_PIECES, k=random.randint(0, 8)))
            data = record(STDOUT, output, padding=random.choice((0, 1, 8))) + end()
            reply = parse_short_reply(data, _MAX_SIZE)
            if reply is not None:
                found += 1
                self.assertEqual(decode(data), reply, output)
        self.assertGreater(found, 1000)

    def test_random_bytes(self) -> None:
        """Nor is anything a reply that is none."""
        random = Random(2)
        whole = record(STDOUT, PLAIN + b"hello", padding=3) + record(STDOUT) + end()
        for _ in range(20_000):
            data = bytearray(whole)
            for _ in range(random.randint(1, 3)):
                data[random.randrange(len(data))] = random.choice((0, 1, 3, 6, 255))
            cut = bytes(data[: random.choice((len(data), random.randrange(len(data) + 1)))])
            reply = parse_short_reply(cut, _MAX_SIZE)
            if reply is not None:
                self.assertEqual(decode(cut), reply, cut)
