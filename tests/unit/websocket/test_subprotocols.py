"""Tests for :mod:`phpgw.websocket.subprotocols`."""

from twisted.internet.task import Clock
from twisted.logger import LogLevel, capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from phpgw.websocket.subprotocols import Subprotocols


class ChoiceTests(SynchronousTestCase):
    def test_first_that_is_known(self) -> None:
        """The browser's order counts."""
        subprotocols = Subprotocols(["mqtt", "chat.v1", "chat.v2"], Clock().seconds)
        for offered, chosen in (
            (["chat.v2", "chat.v1"], "chat.v2"),
            (["x", "chat.v1", "mqtt"], "chat.v1"),
            (["MQTT", "mqtt"], "mqtt"),
            ([], None),
            (["x"], None),
            (["Chat.V1"], None),
        ):
            self.assertEqual(chosen, subprotocols.choose(offered, None), offered)

    def test_php_has_the_first_word(self) -> None:
        subprotocols = Subprotocols(["a"], Clock().seconds)
        self.assertEqual("b", subprotocols.choose(["a", "b"], "b"))
        self.assertEqual("a", subprotocols.choose(["b", "a"], None))

    def hints(self, subprotocols: Subprotocols, *offers: list[str], php: str | None) -> list[str]:
        with capturedLogs() as events:
            for offered in offers:
                subprotocols.choose(offered, php)
        return [formatEvent(event) for event in events if event["log_level"] is LogLevel.warn]

    def test_no_password_is_logged(self) -> None:
        """Pages hand them over as subprotocols, as there is no other header that they may set."""
        for offered in (["access_token", "s3cret"], ["s3cret" + "x" * 20], ["a", "b", "s3cret"]):
            [line] = self.hints(Subprotocols((), Clock().seconds), offered, php=None)
            self.assertNotIn("s3cret", line)

    def test_hint(self) -> None:
        """A line is logged if none is selected, at most one per interval."""
        clock = Clock()
        subprotocols = Subprotocols(["known"], clock.seconds)
        [line] = self.hints(subprotocols, ["json", "xml"], ["json"], php=None)
        self.assertIn("offers the subprotocol json and 1 more, and none", line)
        self.assertIn("--subprotocol", line)
        clock.advance(10)
        [line] = self.hints(subprotocols, ["json"], php=None)
        self.assertIn("(and 1 others since)", line)
        clock.advance(10)
        self.assertEqual([], self.hints(subprotocols, [], ["x", "known"], php=None))
        self.assertEqual([], self.hints(subprotocols, ["json"], php="json"))
