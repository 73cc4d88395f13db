"""The log of the pools' process: its events are messages to the gateway, which logs them."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from twisted.logger import (
    FilteringLogObserver,
    ILogObserver,
    LogEvent,
    Logger,
    LogLevel,
    LogLevelFilterPredicate,
    formatEvent,
)
from twisted.python.failure import Failure
from zope.interface import implementer

from phpgw.log_limit import line_limit

KIND = "log"
_make_logger = partial(Logger, observer=line_limit)


@implementer(ILogObserver)
class MessageObserver:
    """A log observer that tells the gateway of each event.

    :param tell: sends a message.
    """

    def __init__(self, tell: Callable[..., None]) -> None:
        self._tell = tell

    def __call__(self, event: LogEvent) -> None:
        """Send an event, with the fields that are texts and numbers."""
        level = event.get("log_level", LogLevel.info)
        fields = {
            name: value
            for name, value in event.items()
            if not name.startswith("log_") and isinstance(value, str | int | float | bool)
        }
        text = formatEvent(event)
        failure = event.get("log_failure")
        if isinstance(failure, Failure):
            text = f"{text}\n{failure.getTraceback()}"
        self._tell(
            KIND,
            level=level.name,
            namespace=str(event.get("log_namespace", "phpgw.pools")),
            text=text,
            fields=fields,
        )


def make_message_observer(level: str, tell: Callable[..., None]) -> ILogObserver:
    """Return an observer that tells the gateway of each event of a level, or of a higher one."""
    lowest = LogLevelFilterPredicate(LogLevel.levelWithName(level))
    return FilteringLogObserver(MessageObserver(tell), [lowest])


def log_message(message: Mapping[str, Any]) -> None:
    """Log an event of the pools' process."""
    logger = _make_logger(message["namespace"])
    logger.emit(
        LogLevel.levelWithName(message["level"]),
        "{text}",
        **{**message["fields"], "text": message["text"]},
    )
