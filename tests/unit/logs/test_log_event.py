"""Tests for :mod:`phpgw.logs.log_event`."""

from typing import Any, cast

from twisted.logger import LogEvent, LogPublisher
from twisted.python import log as old_log
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from phpgw.logs.log_event import logger_name, read_log_event
from tests.support.log_events import failure_event, log_event


def old_event(**fields: Any) -> LogEvent:
    """Return an event of Twisted's older log module, as new observers get it."""
    events: list[LogEvent] = []
    publisher = LogPublisher(cast(Any, events.append))
    old_log.LogPublisher(publishPublisher=publisher).msg(**fields)
    return events[0]


class ReadTests(SynchronousTestCase):
    def test_message(self) -> None:
        event = log_event("info", "Client {client_id} left: {reason!r}", client_id="1", reason="a")
        self.assertEqual(("Client 1 left: 'a'", ""), read_log_event(event))

    def test_strange_formats(self) -> None:
        """Calls in a format are made, and an event without a usable format has a text, too."""
        event = log_event("info", "{each()} {missing}", each=lambda: "called")
        self.assertIn("Unable to format event", read_log_event(event)[0])
        event = log_event("info", "{each()}", each=lambda: "called")
        self.assertEqual(("called", ""), read_log_event(event))
        self.assertEqual(("", ""), read_log_event({}))

    def test_traceback(self) -> None:
        message, traceback = read_log_event(failure_event(ValueError("x")))
        self.assertEqual("It broke", message)
        self.assertTrue(traceback.startswith("Traceback (most recent call last)"), traceback)
        self.assertIn("ValueError: x", traceback)

    def test_no_message(self) -> None:
        """An exception without a message is its own message."""
        message, _ = read_log_event(failure_event(ValueError("x"), ""))
        self.assertEqual("builtins.ValueError: x", message)

    def test_failing_traceback(self) -> None:
        class Bad(Exception):
            def __str__(self) -> str:
                raise RuntimeError

        event = failure_event(ValueError())
        event["log_failure"] = object()
        self.assertIn("cannot be formatted: AttributeError", read_log_event(event)[1])
        self.assertIn("Bad", read_log_event(failure_event(Bad()))[1])

    def test_old_events(self) -> None:
        """The traceback of an event of Twisted's older log module is told from its message."""
        try:
            raise ValueError("x")
        except ValueError:
            event = old_event(failure=Failure(), why="Oh", isError=1)
        message, traceback = read_log_event(event)
        self.assertEqual("Oh", message)
        self.assertIn("ValueError: x", traceback)


class LoggerNameTests(SynchronousTestCase):
    def test_names(self) -> None:
        """The name is that of the module; of ours, it is the path below ``phpgw``."""
        for namespace, name in (
            ("phpgw.websocket.protocol.GatewayProtocol", "websocket.protocol"),
            ("phpgw.relay.queue._Private", "relay.queue"),
            ("phpgw.settings.sources", "settings.sources"),
            ("phpgw.gateway.Gateway", "gateway"),
            ("twisted.internet.defer.Deferred", "twisted.internet.defer"),
            ("Site", "Site"),
            ("log_legacy", "twisted"),
            ("stderr", "stderr"),
        ):
            self.assertEqual(name, logger_name({"log_namespace": namespace}))
        self.assertEqual("-", logger_name({}))
