"""Log lines as text. Characters that could forge a line, or control a terminal, are escaped."""

from abc import ABC, abstractmethod

from twisted.logger import LogEvent, LogLevel

from phpgw.escape import printable
from phpgw.logs.journal import priority
from phpgw.logs.log_event import read_log_event, source_name
from phpgw.logs.timestamps import time_of_day, timestamp

_INDENT = "    "
# Select Graphic Rendition (ECMA-48, section 8.3.117): 2 is faint, 31 red, 33 yellow, 36 cyan.
_COLORS = {
    LogLevel.debug: "\x1b[2m",
    LogLevel.info: "\x1b[36m",
    LogLevel.warn: "\x1b[33m",
    LogLevel.error: "\x1b[31m",
    LogLevel.critical: "\x1b[1;31m",
}
_FAINT, _RESET = "\x1b[2m", "\x1b[0m"


class TextFormat(ABC):
    """Text with a line for the message, and one for each line of its details."""

    def __call__(self, event: LogEvent) -> str:
        """Return the lines for an event; an empty text if it has nothing to say."""
        message, details = read_log_event(event)
        if not message:
            return ""
        level = event.get("log_level", LogLevel.info)
        text = f"{self.head(event, level)}{printable(message)}\n"
        for line in details.splitlines():
            text += f"{self.indent(level)}{printable(line)}\n"
        return text

    @abstractmethod
    def head(self, event: LogEvent, level: LogLevel) -> str:
        """Return what is before the message."""

    def indent(self, level: LogLevel) -> str:
        """Return what is before each line of the details."""
        return _INDENT


class PlainText(TextFormat):
    """Text for files, and for programs that collect lines: time, level, logger, message."""

    def head(self, event: LogEvent, level: LogLevel) -> str:
        time = timestamp(event.get("log_time", 0.0))
        return f"{time} {level.name:<5} {source_name(event)}: "


class TerminalText(TextFormat):
    """Text with colours, and without dates."""

    def head(self, event: LogEvent, level: LogLevel) -> str:
        time = time_of_day(event.get("log_time", 0.0))
        logger = f"{_FAINT}{source_name(event)}:{_RESET}"
        return f"{_FAINT}{time}{_RESET} {_COLORS[level]}{level.name:<5}{_RESET} {logger} "


class JournalText(TextFormat):
    """Text for systemd's journal, which knows the time, and takes the level of each line."""

    def head(self, event: LogEvent, level: LogLevel) -> str:
        return f"{priority(level)}{source_name(event)}: "

    def indent(self, level: LogLevel) -> str:
        return f"{priority(level)}{_INDENT}"
