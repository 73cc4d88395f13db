"""Reports of events that never happened."""

from typing import Any

from phpgw.backend.event import Event
from phpgw.relay.event_report import EventReport
from tests.support.fakes import identity


def event_report(
    message: bytes = b"hello",
    client_id: str = "a",
    *,
    type_: str = "server",
    user: str | None = None,
    is_binary: bool = False,
    **changes: Any,
) -> EventReport:
    """Return the report of an event; it was replied to, unless told otherwise."""
    event = Event(type_, message, identity(client_id, user=user), is_binary)
    facts: dict[str, Any] = {
        **{"outcome": "replied", "waited": 0.001, "php_seconds": 0.002, "status": 200},
        **{"reply": b"HELLO", "problem": "", "at": 1000.0},
    }
    return EventReport(event=event, **{**facts, **changes})
