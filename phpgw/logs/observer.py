"""The log's observer: chooses a format for a stream, and leaves out lower levels."""

import os
from collections.abc import Callable, Mapping
from io import TextIOWrapper
from typing import IO, Any

from twisted.logger import FileLogObserver, ILogObserver, LogEvent, LogLevel
from zope.interface import implementer

from phpgw.logs.journal import is_journal
from phpgw.logs.json_format import JournalJson, JsonFormat
from phpgw.logs.text_format import JournalText, PlainText, TerminalText


@implementer(ILogObserver)
class LevelFilter:
    """A log observer that passes events of a level, and of higher ones, to another observer.

    :param level: the name of the lowest level that passes, such as ``info``.
    """

    def __init__(self, level: str, observer: ILogObserver) -> None:
        self._observer = observer
        lowest = LogLevel.levelWithName(level)
        self._passed = frozenset(each for each in LogLevel.iterconstants() if each >= lowest)

    def __call__(self, event: LogEvent) -> None:
        if event.get("log_level", LogLevel.info) in self._passed:
            self._observer(event)


@implementer(ILogObserver)
class WorkerTag:
    """A log observer that passes events to another one, with the number of a worker.

    :param number: counted from 1.
    """

    def __init__(self, number: int, observer: ILogObserver) -> None:
        self._number = number
        self._observer = observer

    def __call__(self, event: LogEvent) -> None:
        self._observer(event | {"worker": self._number})


def make_observer(
    level: str, log_format: str, stream: IO[Any], environment: Mapping[str, str] = os.environ
) -> ILogObserver:
    """Return an observer that writes to a stream.

    :param level: the name of the lowest level that is written.
    :param log_format: ``text`` or ``json``.
    :param environment: says whether the stream is systemd's journal, and whether a terminal has
        colours.
    """
    if isinstance(stream, TextIOWrapper):
        # No line is lost because of a name that the stream's encoding does not have.
        stream.reconfigure(errors="backslashreplace")
    make_format = _choose_format(log_format, stream, environment)
    return LevelFilter(level, FileLogObserver(stream, make_format()))


def _choose_format(
    log_format: str, stream: IO[Any], environment: Mapping[str, str]
) -> Callable[[], Callable[[LogEvent], str]]:
    if is_journal(stream, environment):
        return JournalJson if log_format == "json" else JournalText
    if log_format == "json":
        return JsonFormat
    return TerminalText if _has_colors(stream, environment) else PlainText


def _has_colors(stream: IO[Any], environment: Mapping[str, str]) -> bool:
    """Return whether a stream is a terminal that shows colours; see no-color.org."""
    if environment.get("NO_COLOR") or environment.get("TERM") == "dumb":
        return False
    try:
        return stream.isatty()
    except (AttributeError, ValueError):
        return False
