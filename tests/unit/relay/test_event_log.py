"""Tests for :mod:`phpgw.relay.event_log`."""

from typing import Any

from twisted.internet.task import Clock
from twisted.logger import LogEvent, capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from phpgw.backend.event import Event
from phpgw.log_limit import line_limit
from phpgw.logs.json_format import FIELDS
from phpgw.relay.event_log import EventLog
from phpgw.relay.event_report import EventReport
from tests.support.fakes import identity


def a_report(client_id: str = "7", **changes: Any) -> EventReport:
    values: dict[str, Any] = {
        "event": Event("server", b"a secret", identity(client_id, user="zoe"), id="ab-1"),
        "outcome": "replied",
        "waited": 0.0012,
        "php_seconds": 0.25,
        "status": 200,
        "reply": b"another secret",
        "problem": "",
        "at": 1.0,
    }
    return EventReport(**{**values, **changes})


class EventLogTests(SynchronousTestCase):
    def event(self, report: EventReport) -> LogEvent:
        with capturedLogs() as events:
            EventLog()(report)
        [event] = events
        self.assertEqual("debug", event["log_level"].name)
        return event

    def test_line(self) -> None:
        """The line has the event's id, its outcome and its times, and no message."""
        event = self.event(a_report())
        self.assertEqual(
            "server event ab-1 of client 7: replied, status 200, waited 1.2 ms, PHP took 250.0 ms",
            formatEvent(event),
        )
        self.assertNotIn("secret", repr(event))

    def test_fields(self) -> None:
        event = self.event(a_report(outcome="failed", problem="PHP is away"))
        self.assertEqual(
            {
                **{"event_id": "ab-1", "client_id": "7", "user": "zoe", "type": "server"},
                **{"outcome": "failed", "status": 200, "wait_ms": 1.2, "php_ms": 250},
                **{"reason": "PHP is away"},
            },
            {name: event[name] for name in FIELDS if event.get(name) is not None},
        )

    def test_not_asked(self) -> None:
        """What is not known is left out."""
        event = self.event(a_report("", status=None, php_seconds=None, outcome="refused"))
        self.assertEqual("server event ab-1: refused, waited 1.2 ms", formatEvent(event))

    def test_flood(self) -> None:
        line_limit.start(Clock())
        self.addCleanup(line_limit.stop)
        log, report = EventLog(), a_report()
        with capturedLogs() as events:
            for _ in range(3000):
                log(report)
        self.assertEqual(1000, len(events))
