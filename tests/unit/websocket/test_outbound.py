"""Tests for :mod:`phpgw.websocket.outbound`."""

import weakref

from tests.support.in_memory_browser import (
    CLOSE,
    PING,
    PONG,
    TEXT,
    frame,
)
from tests.support.websocket_site import WebSocketSiteTestCase


class SlowConsumerTests(WebSocketSiteTestCase):
    def test_slow_consumer(self) -> None:
        browser = self.connect()
        connection = self.connection()
        connection.pauseProducing()
        for _ in range(3):
            connection.send_message(b"x" * 600, False)
        self.assertEqual([opcode for opcode, _ in browser.frames()], [TEXT, TEXT, CLOSE])
        self.assertEqual(self.metrics.slow_consumers_closed, 1)

    def test_small_messages_add_up(self) -> None:
        """Even an empty one has a frame."""
        browser = self.connect()
        self.connection().pauseProducing()
        for _ in range(1000):
            self.connection().send_message(b"", False)
        opcodes = [opcode for opcode, _ in browser.frames()]
        self.assertEqual(opcodes[-1], CLOSE)
        self.assertLess(len(opcodes), 600)

    def test_pings_of_a_slow_consumer(self) -> None:
        """Pongs take at most half of the limit; the last ping gets a pong."""
        browser = self.connect()
        connection = self.connection()
        connection.pauseProducing()
        for number in range(1000):
            browser.send(frame(PING, b"%03d" % number))
        self.assertEqual(browser.transport.value()[-3:], b"100")
        self.clock.advance(0.2)
        self.assertLess(len(browser.frames()), 110)
        connection.resumeProducing()
        self.assertEqual(browser.frames(), [(PONG, b"999")])
        browser.send(frame(PING, b"again"))
        self.assertEqual(browser.frames(), [(PONG, b"again")])

    def test_when_writable(self) -> None:
        """A callback is called once, when there is room."""
        self.connect()
        connection, calls = self.connection(), []
        self.assertFalse(connection.when_writable(lambda: calls.append("never")))
        connection.pauseProducing()
        connection.pauseProducing()
        self.assertTrue(connection.when_writable(lambda: calls.append("first")))
        self.assertTrue(connection.when_writable(lambda: calls.append("second")))
        self.assertEqual(calls, [])
        connection.resumeProducing()
        connection.pauseProducing()
        connection.resumeProducing()
        self.assertEqual(calls, ["first", "second"])

    def test_full_again(self) -> None:
        """A callback may fill the buffer and wait again."""
        self.connect()
        connection, calls = self.connection(), []

        def again() -> None:
            calls.append("called")
            connection.pauseProducing()
            self.assertTrue(connection.when_writable(again))

        connection.pauseProducing()
        connection.when_writable(again)
        connection.resumeProducing()
        self.assertEqual(calls, ["called"])
        connection.resumeProducing()
        self.assertEqual(calls, ["called"] * 2)

    def test_nobody_waits_for_one_that_is_closing(self) -> None:
        self.connect()
        connection = self.connection()
        connection.pauseProducing()
        connection.close(1000, "")
        self.assertFalse(connection.when_writable(lambda: None))

    def test_gone_while_somebody_waits(self) -> None:
        """There is no call, and the callback is freed."""
        browser = self.connect()
        connection, calls = self.connection(), []

        def call() -> None:
            calls.append("never")

        connection.pauseProducing()
        connection.when_writable(call)
        kept = weakref.ref(call)
        del call
        browser.hang_up(cleanly=False)
        connection.resumeProducing()
        self.assertEqual((kept(), calls), (None, []))

    def test_consumer_that_catches_up(self) -> None:
        browser = self.connect()
        connection = self.connection()
        for _ in range(5):
            connection.pauseProducing()
            connection.send_message(b"x" * 900, False)
            self.assertEqual([opcode for opcode, _ in browser.frames()], [TEXT])
            connection.resumeProducing()

    def test_consumer_that_keeps_pace(self) -> None:
        """There are unsent bytes all the time, and never too many."""
        browser = self.connect()
        connection = self.connection()
        connection.pauseProducing()
        for _ in range(100):
            connection.send_message(b"x" * 800, False)
            self.assertEqual([opcode for opcode, _ in browser.frames()], [TEXT])
        self.assertEqual(self.metrics.slow_consumers_closed, 0)

    def test_room_while_something_waits(self) -> None:
        """A callback is called before all bytes are sent."""
        self.connect()
        connection, calls = self.connection(), []
        connection.pauseProducing()
        connection.send_message(b"x" * 400, False)
        connection.when_writable(lambda: calls.append("one"))
        self.clock.advance(0.2)
        self.assertEqual(calls, ["one"])
        connection.send_message(b"x" * 400, False)
        connection.when_writable(lambda: calls.append("two"))
        self.clock.pump([0.2] * 5)
        self.assertEqual(calls, ["one"])
        connection.resumeProducing()
        self.assertEqual(calls, ["one", "two"])
        self.clock.pump([0.2] * 2)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_ping_of_one_that_keeps_pace(self) -> None:
        """Its pongs are late, but it goes on reading."""
        self.limit(ping_interval=25, ping_timeout=10)
        browser = self.connect()
        connection = self.connection()
        connection.pauseProducing()
        for _ in range(20):
            connection.send_message(b"x" * 800, False)
            self.clock.pump([10, 15])
            browser.frames()
        self.assertFalse(browser.is_cut)
        self.clock.pump([10, 15] * 6)
        self.assertTrue(browser.is_cut)

    def test_answers_late(self) -> None:
        """Each answer counts for the checks before it."""
        self.limit(ping_interval=25, ping_timeout=10)
        browser = self.connect()
        self.connection().pauseProducing()
        for _ in range(10):
            self.clock.pump([10, 15] * 3)
            browser.send(frame(PONG))
        self.assertFalse(browser.is_cut)

    def test_ping(self) -> None:
        self.limit(ping_interval=25, ping_timeout=10)
        browser = self.connect()
        self.clock.advance(25)
        self.assertEqual(browser.frames(), [(PING, b"")])
        browser.send(frame(PONG))
        self.clock.pump([10, 15])
        self.assertEqual(browser.frames(), [(PING, b"")])
        self.clock.advance(10)
        self.assertTrue(browser.is_cut)

    def test_ping_timeout_longer_than_the_interval(self) -> None:
        """The next ping is the last moment for an answer."""
        self.limit(ping_interval=5, ping_timeout=10)
        browser = self.connect()
        self.clock.pump([5, 4.9])
        self.assertFalse(browser.is_cut)
        self.clock.pump([0.1])
        self.assertTrue(browser.is_cut)

    def test_ping_behind_what_is_read_slowly(self) -> None:
        """A slow reader has more time, with a limit, and does not block PHP."""
        for is_read in (True, False):
            self.limit(ping_interval=25, ping_timeout=10)
            browser = self.connect()
            if not is_read:
                self.connection().pause_reading()
            self.connection().pauseProducing()
            self.clock.pump([25, 10] * 3)
            self.assertFalse(browser.is_cut)
            self.connection().resumeProducing()
            self.connection().pauseProducing()
            self.clock.pump([25, 10] * 3)
            self.assertFalse(browser.is_cut)
            self.clock.pump([25, 10])
            self.assertTrue(browser.is_cut)
            browser.hang_up()

    def test_no_ping_timeout_while_the_gateway_does_not_read(self) -> None:
        """The pong may be behind messages that are not read."""
        self.limit(ping_interval=25, ping_timeout=10)
        browser = self.connect()
        self.connection().pause_reading()
        self.clock.pump([25, 10, 25, 10, 25, 10])
        self.assertFalse(browser.is_cut)
        self.connection().resume_reading()
        self.clock.pump([25, 10, 25, 10])
        self.assertTrue(browser.is_cut)
