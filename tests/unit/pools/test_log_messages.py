"""Tests for :mod:`phpgw.pools.log_messages`."""

import json
from typing import Any

from twisted.logger import globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from phpgw.pools.log_messages import log_message, make_message_observer
from tests.support.log_events import failure_event, log_event


class LogMessagesTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.told: list[dict[str, Any]] = []
        self.observer = make_message_observer("info", self.tell)

    def tell(self, kind: str, **fields: Any) -> None:
        self.told.append(json.loads(json.dumps(fields)))

    def logged(self) -> dict[str, Any]:
        """Return what the gateway logs for the last message."""
        events: list[dict[str, Any]] = []
        observer: Any = events.append
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)
        log_message(self.told[-1])
        return events[-1]

    def test_event(self) -> None:
        """An event is the same in the gateway's log: level, logger, text and fields."""
        event = log_event("warn", "Pool {pool} has {count}", "phpgw.x", pool="a", count=3, thing=[])
        self.observer(event)
        logged = self.logged()
        self.assertEqual("Pool a has 3", logged["text"])
        self.assertEqual(("phpgw.x", "warn"), (logged["log_namespace"], logged["log_level"].name))
        self.assertEqual(("a", 3), (logged["pool"], logged["count"]))
        self.assertNotIn("thing", logged)

    def test_level(self) -> None:
        """What is below the level is not sent."""
        self.observer(log_event("debug", "a"))
        self.assertEqual([], self.told)

    def test_failure(self) -> None:
        """A traceback is text."""
        self.observer(failure_event(ZeroDivisionError("division")))
        self.assertIn("ZeroDivisionError: division", self.told[-1]["text"])

    def test_braces(self) -> None:
        """What a server says is no format."""
        self.observer(log_event("info", "{text}", text="{0} {a.b}"))
        self.assertEqual("{0} {a.b}", self.logged()["text"])
