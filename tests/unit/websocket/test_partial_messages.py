"""Tests for :mod:`phpgw.websocket.partial_messages`."""

import tracemalloc

from twisted.internet.address import IPv4Address

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


class UnfinishedTests(WebSocketSiteTestCase):
    def peer(self, number: int) -> InMemoryBrowser:
        return self.connect(IPv4Address("TCP", "192.0.2.9", 5000 + number))

    def test_whole(self) -> None:
        """The message is complete for any size of reads."""
        for step in (1, 2, 7, 100, 1000):
            browser = self.connect()
            message = bytes(number % 251 for number in range(1000))
            sent = frame(BINARY, message[:500], fin=False) + frame(CONTINUATION, message[500:])
            for start in range(0, len(sent), step):
                browser.send(sent[start : start + step])
            self.assertEqual([message], self.relay.messages())
            self.assertIs(bytes, type(self.relay.messages()[0]))
            self.relay.received.clear()
            self.assertEqual(0, self.metrics.unfinished_bytes_now)
            browser.hang_up()

    def test_in_single_bytes(self) -> None:
        """It takes little more memory than the message has, and not 50 times as much."""
        self.limit(max_message_size=100_000, max_unfinished=200_000)
        browser = self.connect()
        head, payload = frame(BINARY, bytes(100_000))[:14], bytes(99_000)
        browser.send(head)
        tracemalloc.start()
        self.addCleanup(tracemalloc.stop)
        for index in range(len(payload)):
            browser.send(payload[index : index + 1])
        self.assertLess(tracemalloc.get_traced_memory()[0], 150_000)
        self.assertEqual(99_000, self.metrics.unfinished_bytes_now)

    def test_in_frames_of_a_byte(self) -> None:
        self.limit(max_message_size=100_000, max_unfinished=200_000)
        browser = self.connect()
        browser.send(frame(BINARY, b"x", fin=False))
        tracemalloc.start()
        self.addCleanup(tracemalloc.stop)
        for _ in range(100):
            browser.send(frame(CONTINUATION, b"x", fin=False) * 100)
        self.assertLess(tracemalloc.get_traced_memory()[0], 50_000)

    def test_budget(self) -> None:
        """The oldest message is refused; others are not affected."""
        browsers = []
        for number in range(15):
            browsers.append(self.peer(number))
            browsers[-1].send(frame(BINARY, b"x" * 900, fin=False))
            self.clock.advance(1)
        self.assertLessEqual(self.metrics.unfinished_bytes_now, 10_000)
        self.assertEqual(4, self.metrics.unfinished_dropped)
        codes = [[code for code, _ in browser.frames()] for browser in browsers]
        self.assertEqual([[CLOSE]] * 4 + [[]] * 11, codes)
        browsers[-1].send(frame(CONTINUATION, b"y"))
        self.assertEqual([b"x" * 900 + b"y"], self.relay.messages())
        for browser in browsers:
            browser.hang_up()
        self.assertEqual(0, self.metrics.unfinished_bytes_now)

    def test_only_what_is_unfinished(self) -> None:
        for number in range(30):
            browser = self.peer(number)
            browser.send(frame(BINARY, b"x" * 500, fin=False))
            browser.send(frame(CONTINUATION, b"x" * 500))
        self.assertEqual((0, 0), (self.metrics.unfinished_dropped, self.relay.ends().count(1008)))

    def test_slow_drip(self) -> None:
        """Pings and single bytes do not restart the timeout."""
        self.limit(message_timeout=60)
        browser = self.connect()
        browser.send(frame(TEXT, b"x", fin=False))
        for _ in range(59):
            self.clock.advance(1)
            browser.send(frame(CONTINUATION, b"x", fin=False) + frame(PING))
        self.assertNotIn(CLOSE, [opcode for opcode, _ in browser.frames()])
        self.clock.advance(1)
        self.assertEqual(
            (1008, "a message may take 60 s at most (--message-timeout)"), browser.close_frame()
        )
        self.assertEqual(1, self.metrics.messages_timed_out)
        browser.hang_up()
        self.assertEqual([], self.clock.getDelayedCalls())

    def test_each_has_its_own_time(self) -> None:
        self.limit(message_timeout=60)
        one, two = self.peer(1), self.peer(2)
        one.send(frame(TEXT, b"x", fin=False))
        self.clock.advance(30)
        two.send(frame(TEXT, b"x", fin=False))
        self.clock.advance(29)
        one.send(frame(CONTINUATION) + frame(TEXT, b"x", fin=False))
        self.clock.advance(31)
        self.assertEqual(1008, two.close_frame()[0])
        self.assertEqual([], one.frames())
        self.clock.advance(29)
        self.assertEqual(1008, one.close_frame()[0])

    def test_not_read_meanwhile(self) -> None:
        """Time in which reading is paused does not count."""
        self.limit(message_timeout=60)
        browser = self.connect()
        browser.send(frame(TEXT, b"one") + frame(TEXT, b"two", fin=False))
        connection = self.connection()
        connection.pause_reading()
        self.clock.advance(59)
        connection.resume_reading()
        self.clock.advance(59)
        self.assertEqual([], browser.frames())
        self.clock.advance(1)
        self.assertEqual(1008, browser.close_frame()[0])

    def test_gone(self) -> None:
        """Nothing is kept of one that closes, breaks the rules or vanishes in the middle."""
        for end in (
            lambda browser: browser.send(frame(CLOSE, b"\x03\xe8")),
            lambda browser: browser.send(frame(3)),
            lambda browser: None,
        ):
            browser = self.connect()
            browser.send(frame(TEXT, b"x" * 900, fin=False))
            self.assertEqual(900, self.metrics.unfinished_bytes_now)
            end(browser)
            browser.hang_up()
            self.assertEqual(0, self.metrics.unfinished_bytes_now)
