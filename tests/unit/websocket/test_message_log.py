"""Tests for :mod:`phpgw.websocket.message_log`."""

from twisted.logger import capturedLogs, formatEvent

from phpgw.websocket.message_log import LoggedFactory
from tests.support.in_memory_browser import BINARY, TEXT, InMemoryBrowser, frame
from tests.support.websocket_site import WebSocketSiteTestCase


class MessageLogTests(WebSocketSiteTestCase):
    factory_class = LoggedFactory

    def setUp(self) -> None:
        super().setUp()
        self.browser: InMemoryBrowser = self.connect()

    def lines(self, events: object) -> list[str]:
        assert isinstance(events, list)
        return [f"{event['log_level'].name} {formatEvent(event)}" for event in events]

    def test_from_client(self) -> None:
        with capturedLogs() as events:
            self.browser.send(frame(TEXT, b"hello"))
            self.browser.send(frame(BINARY, b"\xff"))
        self.assertEqual(
            [
                "debug From client 192.0.2.1:5000, 5 bytes: hello",
                "debug From client 192.0.2.1:5000, 1 bytes (binary): \\xff",
            ],
            self.lines(events),
        )
        self.assertEqual([b"hello", b"\xff"], self.relay.messages())

    def test_to_client(self) -> None:
        """Each way to send a message has its line, and the browser gets the message."""
        connection = self.connection()
        with capturedLogs() as events:
            connection.send_message(b"one", False)
            connection.message_sender(b"two", False)([connection])
            connection.gather_message(b"three", False)
            connection.send_message(b"x" * 300, False)
        *first, last = self.lines(events)
        self.assertEqual(
            [
                "debug To client 192.0.2.1:5000, 3 bytes: one",
                "debug To client 192.0.2.1:5000, 3 bytes: two",
                "debug To client 192.0.2.1:5000, 5 bytes: three",
            ],
            first,
        )
        self.assertEqual(f"debug To client 192.0.2.1:5000, 300 bytes: {'x' * 200}...", last)
        received = [payload for _, payload in self.browser.frames()]
        self.assertEqual([b"one", b"two", b"three", b"x" * 300], received)

    def test_closed(self) -> None:
        """What is not sent has no line."""
        connection = self.connection()
        connection.close(1000, "")
        with capturedLogs() as events:
            connection.send_message(b"late", False)
        self.assertEqual([], self.lines(events))
