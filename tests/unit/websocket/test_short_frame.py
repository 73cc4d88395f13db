"""Tests for :mod:`phpgw.websocket.short_frame`."""

from random import Random

from twisted.trial.unittest import SynchronousTestCase

from phpgw.websocket.rate_limit import RateLimit
from phpgw.websocket.short_frame import MAX_SIZE, MIN_SIZE, parse_close_frame, parse_text_frame
from tests.support.in_memory_browser import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    TEXT,
    InMemoryBrowser,
    frame,
)
from tests.support.websocket_site import WebSocketSiteTestCase

_ALL = 10


class TextOfTests(SynchronousTestCase):
    def test_every_length(self) -> None:
        for size in range(1, 126):
            text = bytes(32 + number % 95 for number in range(size))
            self.assertEqual(text, parse_text_frame(frame(TEXT, text)))

    def test_masks(self) -> None:
        for mask in (b"\xff\xff\xff\xff", b"\0\0\0\x01", b"\x80\0\0\0", b"abcd"):
            for text in (b"h", b"hello", b"x" * 124, "grüße".encode()):
                masked = bytes(each ^ mask[at % 4] for at, each in enumerate(text))
                head = bytes((0x81, 0x80 | len(text)))
                self.assertEqual(text, parse_text_frame(head + mask + masked), mask)

    def test_utf8(self) -> None:
        for text in ("ä", "€" * 40, "😀" * 31, "\0", "\uffff"):
            self.assertEqual(text.encode(), parse_text_frame(frame(TEXT, text.encode())))
        for bad in (b"\xff", b"a\xc3", b"\xed\xa0\x80", b"\xc0\xaf", b"\xf4\x90\x80\x80"):
            self.assertIsNone(parse_text_frame(frame(TEXT, bad)), bad)

    def test_anything_else(self) -> None:
        whole = frame(TEXT, b"hello")
        others = [
            *(frame(opcode, b"hello") for opcode in range(16) if opcode != TEXT),
            *(frame(TEXT, b"hello", rsv=rsv) for rsv in range(1, 8)),
            frame(TEXT, b"hello", fin=False),
            whole[:-1],
            whole + b"\x81",
            whole + whole,
            bytes((0x81, 5)) + b"hello" + b"more",
            b"\x81\xfe\0\x05" + whole[2:],
            b"\x81\xff" + b"\0" * 7 + b"\x05" + whole[2:],
        ]
        for other in others:
            self.assertIsNone(parse_text_frame(other), other)

    def test_bounds(self) -> None:
        self.assertEqual(MIN_SIZE, len(frame(TEXT, b"x")))
        self.assertEqual(MAX_SIZE, len(frame(TEXT, b"x" * 125)))


class CodeAndReasonTests(SynchronousTestCase):
    def test_close_frames(self) -> None:
        for code in (0, 1000, 4999, 65535):
            for reason in (b"", b"bye", b"\xff" * 123):
                whole = frame(CLOSE, code.to_bytes(2, "big") + reason)
                self.assertEqual((code, reason), parse_close_frame(whole))

    def test_mask(self) -> None:
        masked = bytes(each ^ b"abcd"[at % 4] for at, each in enumerate(b"\x03\xe8bye"))
        self.assertEqual((1000, b"bye"), parse_close_frame(b"\x88\x85abcd" + masked))

    def test_anything_else(self) -> None:
        whole = frame(CLOSE, b"\x03\xe8bye")
        others = [
            *(frame(opcode, b"hello") for opcode in range(16) if opcode != CLOSE),
            *(frame(CLOSE, b"hello", rsv=rsv) for rsv in range(1, 8)),
            frame(CLOSE, b"hello", fin=False),
            frame(CLOSE, b"x"),
            whole[:-1],
            whole + b"\x88",
            bytes((0x88, 5)) + b"hello" + b"more",
        ]
        for other in others:
            self.assertIsNone(parse_close_frame(other), other)


class SameOutcomeTests(WebSocketSiteTestCase):
    """Whatever comes, in one read or byte by byte, where there is no short cut."""

    def outcome(self, *reads: bytes) -> tuple[object, ...]:
        before = len(self.relay.messages())
        counted = self.metrics.as_dict()
        browser = self.connect()
        for data in reads:
            browser.send(data)
        frames = browser.frames()
        messages = self.relay.messages()[before:]
        browser.hang_up()
        changes = {n: new - counted[n] for n, new in self.metrics.as_dict().items()}
        return messages, frames, changes

    def test_random_frames(self) -> None:
        random = Random(9)
        self.limit(max_frame_size=100, max_fragments=3)
        for _ in range(300):
            reads = [self.some_frame(random) for _ in range(random.randrange(1, 5))]
            whole = self.outcome(*reads)
            together = b"".join(reads)
            slowly = self.outcome(*(together[n : n + 1] for n in range(len(together))))
            self.assertEqual(slowly, whole, reads)

    def some_frame(self, random: Random) -> bytes:
        opcode = random.choice((TEXT,) * 6 + (BINARY, CONTINUATION, PING, CLOSE, 3))
        payload = random.choice((b"hello", "grüß".encode(), b"\xff", b"x" * 100, b"x" * 101, b""))
        if opcode == CLOSE:
            payload = random.choice((b"\x03\xe8", b"\x0f\xa0", b"\x03\xed", b"")) + payload
        rsv = random.choice((0,) * 9 + (4,))
        return frame(opcode, payload, fin=random.random() < 0.8, rsv=rsv)


class LimitTests(WebSocketSiteTestCase):
    def send_all(self, browser: InMemoryBrowser) -> None:
        for _ in range(_ALL):
            browser.send(frame(TEXT, b"x"))

    def test_message_size(self) -> None:
        self.limit(max_message_size=10)
        browser = self.connect()
        browser.send(frame(TEXT, b"x" * 10))
        browser.send(frame(TEXT, b"x" * 11))
        self.assertEqual([b"x" * 10], self.relay.messages())
        self.assertEqual(1009, browser.close_frame()[0])

    def test_rate(self) -> None:
        """Messages over the rate wait, and reading is paused."""
        self.limit(rate_limit=RateLimit(messages=4, patience=60.0))
        browser = self.connect()
        self.send_all(browser)
        taken = len(self.relay.messages())
        self.assertEqual((1, False), (self.metrics.rate_pauses, self.connection().is_reading))
        self.assertLess(taken, _ALL)
        for _ in range(_ALL):
            self.clock.advance(1.0)
        self.assertEqual(_ALL, len(self.relay.messages()))

    def test_behind_part_of_a_frame(self) -> None:
        browser = self.connect()
        browser.send(frame(TEXT, b"a", fin=False))
        browser.send(frame(CONTINUATION, b"b")[:3])
        browser.send(frame(CONTINUATION, b"b")[3:])
        browser.send(frame(TEXT, b"c"))
        self.assertEqual([b"ab", b"c"], self.relay.messages())
