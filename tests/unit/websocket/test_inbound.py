"""Tests for :mod:`phpgw.websocket.inbound`."""

import zlib

from phpgw.hub.client import Client, Message
from phpgw.websocket.rate_limit import RateLimit
from tests.support.in_memory_browser import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    InMemoryBrowser,
    frame,
)
from tests.support.websocket_site import WebSocketSiteTestCase

OFFER = "permessage-deflate; client_max_window_bits"


class SizeTests(WebSocketSiteTestCase):
    def test_message(self) -> None:
        browser = self.connect()
        browser.send(frame(BINARY, b"x" * 1001))
        self.assertEqual(
            (1009, "a message may have 1000 bytes at most (--max-message-size)"),
            browser.close_frame(),
        )
        self.assertEqual(1, self.metrics.messages_too_large)

    def test_message_that_is_far_too_large(self) -> None:
        """It is refused before it is complete, and counted once."""
        browser = self.connect()
        browser.send(frame(BINARY, b"x" * 100_000)[:5000] + frame(TEXT, b"x" * 5000))
        self.assertEqual(
            (1009, "a message may have 1000 bytes at most (--max-message-size)"),
            browser.close_frame(),
        )
        self.assertEqual(1, self.metrics.messages_too_large)

    def test_message_that_inflates(self) -> None:
        self.limit(compression=True)
        browser = self.connect(Sec_WebSocket_Extensions=OFFER)
        deflate = zlib.compressobj(wbits=-15)
        bomb = deflate.compress(bytes(500_000)) + deflate.flush(zlib.Z_SYNC_FLUSH)
        browser.send(frame(BINARY, bomb, rsv=4))
        self.assertEqual(
            (1009, "a message may have 1000 bytes at most (--max-message-size)"),
            browser.close_frame(),
        )
        self.assertEqual(1, self.metrics.messages_too_large)

    def test_frame(self) -> None:
        self.limit(max_frame_size=100)
        browser = self.connect()
        pieces = frame(TEXT, b"x" * 100, fin=False) + frame(CONTINUATION, b"y" * 100)
        browser.send(pieces)
        self.assertEqual([b"x" * 100 + b"y" * 100], self.relay.messages())
        browser.send(frame(TEXT, b"x" * 101)[:10])
        self.assertEqual(
            (1009, "a frame may have 100 bytes at most (--max-frame-size)"), browser.close_frame()
        )
        self.assertEqual((1, 0), (self.metrics.frames_too_large, self.metrics.messages_too_large))

    def test_control_frames_have_a_size_of_their_own(self) -> None:
        """RFC 6455, section 5.5."""
        self.limit(max_frame_size=10)
        browser = self.connect()
        browser.send(frame(PING, b"x" * 125))
        self.assertEqual([(PONG, b"x" * 125)], browser.frames())


class FragmentTests(WebSocketSiteTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.limit(max_fragments=4)

    def test_as_many_as_allowed(self) -> None:
        """The count starts again with each message; pings do not count."""
        browser = self.connect()
        for _ in range(3):
            browser.send(
                frame(TEXT, b"a", fin=False)
                + frame(CONTINUATION, b"b", fin=False)
                + frame(PING) * 10
                + frame(CONTINUATION, b"c", fin=False)
                + frame(CONTINUATION, b"d")
                + frame(TEXT, b"e")
            )
        self.assertEqual([b"abcd", b"e"] * 3, self.relay.messages())

    def test_one_more(self) -> None:
        for piece in (b"", b"x"):
            browser = self.connect()
            browser.send(frame(TEXT, fin=False) + frame(CONTINUATION, piece, fin=False) * 100)
            self.assertEqual(
                (1008, "a message may have 4 frames at most (--max-fragments)"),
                browser.close_frame(),
                piece,
            )
            browser.hang_up()
        self.assertEqual(2, self.metrics.messages_too_fragmented)
        self.assertEqual(
            [(1008, "a message may have 4 frames at most (--max-fragments)")] * 2, self.relay.ends()
        )

    def test_any_number(self) -> None:
        self.limit()
        browser = self.connect()
        browser.send(frame(TEXT, fin=False) + frame(CONTINUATION, b"x", fin=False) * 900)
        browser.send(frame(CONTINUATION))
        self.assertEqual([b"x" * 900], self.relay.messages())


class RateTests(WebSocketSiteTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.limit(rate_limit=RateLimit(messages=10, patience=5))
        self.clock.advance(1000)

    def keep_sending(self, browser: InMemoryBrowser, data: bytes, seconds: float) -> None:
        """Send this whenever it is read."""
        for _ in range(round(seconds / 0.05)):
            while browser.is_read_from and not browser.is_cut:
                browser.send(data)
            self.clock.advance(0.05)

    def test_flood(self) -> None:
        """All messages are received in order, at the allowed rate."""
        browser = self.connect()
        browser.send(b"".join(frame(TEXT, b"%d" % number) for number in range(30)))
        self.assertFalse(browser.is_read_from)
        self.assertLess(len(self.relay.received), 12)
        self.clock.pump([0.05] * 42)
        self.assertTrue(browser.is_read_from)
        self.assertEqual([b"%d" % number for number in range(30)], self.relay.messages())
        self.assertGreater(self.metrics.rate_pauses, 5)
        self.assertEqual(0, self.metrics.floods_closed)

    def test_honest_client(self) -> None:
        browser = self.connect()
        for _ in range(100):
            browser.send(frame(TEXT, b"x") + frame(PONG))
            self.assertTrue(browser.is_read_from)
            self.clock.advance(0.21)
        self.assertEqual(0, self.metrics.rate_pauses)

    def test_endless_flood(self) -> None:
        browser = self.connect()
        self.keep_sending(browser, frame(TEXT, b"x"), 4.8)
        self.assertEqual([], browser.frames())
        self.keep_sending(browser, frame(TEXT, b"x"), 0.5)
        self.assertEqual(
            (1008, "messages come too fast (--max-message-rate)"), browser.close_frame()
        )
        self.assertEqual(1, self.metrics.floods_closed)
        self.assertLess(len(self.relay.received), 65)

    def test_flood_after_the_close_frame(self) -> None:
        """In the closing handshake, the limit still applies, and messages are ignored."""
        browser = self.connect()
        self.connection().close(1000, "")
        sent = 0
        for _ in range(99):
            while browser.is_read_from and not browser.is_cut:
                browser.send(frame(TEXT, b"x"))
                sent += 1
            self.clock.advance(0.05)
        self.assertLess(sent, 70)
        self.assertEqual([], self.relay.received)
        self.clock.advance(0.1)
        self.assertTrue(browser.is_cut)
        self.assertEqual(0, self.metrics.floods_closed)

    def test_answer_to_the_close_frame(self) -> None:
        """Also while reading is paused."""
        browser = self.connect()
        browser.send(frame(TEXT, b"x") * 12)
        self.connection().close(1000, "")
        self.assertFalse(browser.is_read_from)
        browser.send(frame(CLOSE, b"\x03\xe8"))
        self.clock.pump([0.1] * 5)
        self.assertTrue(browser.is_cut)

    def test_pings_and_pongs(self) -> None:
        for opcode in (PING, PONG):
            browser = self.connect()
            browser.send(frame(opcode) * 12)
            self.assertFalse(browser.is_read_from)
            self.assertLess(len(browser.frames()), 12)
            browser.hang_up()

    def test_fragments(self) -> None:
        """Eight fragments count like one message."""
        browser = self.connect()
        browser.send(frame(TEXT, fin=False) + frame(CONTINUATION, b"x", fin=False) * 70)
        self.assertTrue(browser.is_read_from)
        browser.send(frame(CONTINUATION, b"x", fin=False) * 20)
        self.assertFalse(browser.is_read_from)

    def test_full_inbox_meanwhile(self) -> None:
        """Reading resumes when the last reason to pause ends, in any order."""
        browser = self.connect()
        connection = self.connection()
        browser.send(frame(TEXT, b"x") * 12)
        connection.pause_reading()
        self.clock.advance(1)
        self.assertFalse(browser.is_read_from)
        connection.resume_reading()
        self.assertTrue(browser.is_read_from)
        browser.send(frame(TEXT, b"x") * 12)
        connection.pause_reading()
        connection.resume_reading()
        self.assertFalse(browser.is_read_from)
        self.clock.advance(1)
        self.assertTrue(browser.is_read_from)

    def test_gone_meanwhile(self) -> None:
        browser = self.connect()
        browser.send(frame(TEXT, b"x") * 12)
        browser.hang_up()
        self.assertEqual([], self.clock.getDelayedCalls())

    def test_no_limit(self) -> None:
        self.limit()
        browser = self.connect()
        browser.send(frame(TEXT, b"x") * 1000)
        self.assertTrue(browser.is_read_from)
        self.assertEqual(1000, len(self.relay.received))


class PauseTests(WebSocketSiteTestCase):
    def test_full_inbox_is_counted(self) -> None:
        self.connect()
        connection = self.connection()
        for _ in range(2):
            connection.pause_reading()
            connection.pause_reading()
            connection.resume_reading()
        self.assertEqual(2, self.metrics.inboxes_full)

    def test_take_no_more(self) -> None:
        """Reading that was stopped is resumed only for the close frame."""
        browser = self.connect()
        connection = self.connection()
        connection.stop_reading()
        connection.pause_reading()
        connection.resume_reading()
        self.assertFalse(browser.is_read_from)
        connection.close(1001, "")
        self.assertTrue(browser.is_read_from)
        browser.send(frame(CLOSE, b"\x03\xe9"))
        self.assertTrue(browser.is_cut)


class InboxTests(WebSocketSiteTestCase):
    def test_paused_connection_is_not_read(self) -> None:
        browser = self.connect()
        connection = self.connection()
        connection.pause_reading()
        self.assertFalse(browser.is_read_from)
        connection.resume_reading()
        self.assertTrue(browser.is_read_from)

    def test_pause_counts_for_what_is_read_already(self) -> None:
        browser = self.connect()
        connection = self.connection()
        receive = self.relay.receive

        def receive_and_pause(client: Client, message: Message) -> None:
            receive(client, message)
            connection.pause_reading()

        self.relay.receive = receive_and_pause
        browser.send(b"".join(frame(TEXT, b"%d" % number) for number in range(3)))
        for count in (1, 2, 3):
            self.assertEqual(len(self.relay.received), count)
            connection.resume_reading()
        self.assertEqual(self.relay.messages(), [b"0", b"1", b"2"])

    def test_wanted_again_at_once(self) -> None:
        """PHP takes a message that fills the inbox while it is still being delivered."""
        browser = self.connect()
        connection = self.connection()
        receive = self.relay.receive

        def receive_and_go_on(client: Client, message: Message) -> None:
            connection.pause_reading()
            receive(client, message)
            connection.resume_reading()

        self.relay.receive = receive_and_go_on
        browser.send(b"".join(frame(TEXT, b"%d" % number) for number in range(3)))
        self.assertEqual(self.relay.messages(), [b"0", b"1", b"2"])
