"""Log events as loggers make them."""

from typing import Any, cast

from twisted.logger import LogEvent, Logger


def log_event(level: str, log_format: str, /, namespace: str = "-", **fields: Any) -> LogEvent:
    """Return the event of a line, at 2026-11-29 09:03:25.25 UTC unless ``log_time`` is given."""
    events: list[LogEvent] = []
    logger = Logger(namespace, observer=cast(Any, events.append))
    getattr(logger, level)(log_format, **fields)
    [event] = events
    event["log_time"] = fields.get("log_time", 1795943005.25)
    return event


def failure_event(error: Exception, log_format: str = "It broke") -> LogEvent:
    """Return the event of a line with the traceback of an exception."""
    events: list[LogEvent] = []
    logger = Logger("phpgw.relay.queue.EventQueue", observer=cast(Any, events.append))
    try:
        raise error
    except Exception:
        logger.failure(log_format)
    [event] = events
    event["log_time"] = 1795943005.25
    return event
