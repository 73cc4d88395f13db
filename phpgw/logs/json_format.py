"""Log lines as JSON: an object on each line, with texts and numbers alone."""

import json

from twisted.logger import LogEvent, LogLevel

from phpgw.logs.journal import priority
from phpgw.logs.log_event import logger_name, read_log_event
from phpgw.logs.timestamps import timestamp

COMMON_FIELDS = ("timestamp", "level", "logger", "message")
"""The fields of each line."""

FIELDS = (
    *("event_id", "client_id", "user", "type", "outcome", "status", "wait_ms", "php_ms"),
    *("peer", "path", "code", "cause", "reason", "seconds", "messages_in", "messages_out"),
    "worker",
)
"""The fields of lines that are about an event, a client or a connection."""

DETAILS_FIELD = "details"
"""The field of lines about an exception, and of what PHP has logged: further lines of text."""

_encode = json.JSONEncoder(default=str, separators=(",", ":")).encode


class JsonFormat:
    """A JSON object for each event, in ASCII."""

    def __call__(self, event: LogEvent) -> str:
        """Return the line for an event; an empty text if it has nothing to say."""
        message, details = read_log_event(event)
        if not message:
            return ""
        line: dict[str, object] = {
            "timestamp": timestamp(event.get("log_time", 0.0)),
            "level": event.get("log_level", LogLevel.info).name,
            "logger": logger_name(event),
            "message": message,
        }
        for name in FIELDS:
            value = event.get(name)
            if value is not None:
                line[name] = round(value, 3) if type(value) is float else value
        if details:
            line[DETAILS_FIELD] = details
        return f"{_encode(line)}\n"


class JournalJson(JsonFormat):
    """JSON for systemd's journal, which takes the level from a prefix."""

    def __call__(self, event: LogEvent) -> str:
        line = super().__call__(event)
        return line and f"{priority(event.get('log_level', LogLevel.info))}{line}"
