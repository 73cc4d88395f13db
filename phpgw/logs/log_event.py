"""The parts of a log event: message, details and logger."""

from functools import lru_cache
from typing import cast

from twisted.logger import LogEvent, formatEvent

# Events of Twisted's older log module. Their text contains the traceback.
_LEGACY = "log_legacy"


def read_log_event(event: LogEvent) -> tuple[str, str]:
    """Return the message of a log event, and its details, which are often empty.

    Details are lines: a traceback, or what an event has as ``details``.
    """
    try:
        message = cast(str, event["log_format"].format_map(event))
    except Exception:
        # A format can contain calls, or be missing. Twisted's own function never fails.
        message = formatEvent(event)
    details: str = event.get("details") or ""
    if "log_failure" in event:
        details = _traceback(event)
        message = message or details.rstrip().rpartition("\n")[2]
    elif event.get("log_namespace") == _LEGACY:
        message, _, details = message.partition("\n")
    return message, details


def _traceback(event: LogEvent) -> str:
    try:
        return cast(str, event["log_failure"].getTraceback())
    except Exception as error:
        return f"The traceback cannot be formatted: {type(error).__name__}"


def logger_name(event: LogEvent) -> str:
    """Return a short name of the logger: the module without ``phpgw.`` in front."""
    return _short_name(event.get("log_namespace") or "-")


def source_name(event: LogEvent) -> str:
    """Return the short name of the logger, and the number of the worker if there are several."""
    worker = event.get("worker")
    return logger_name(event) if worker is None else f"{logger_name(event)}[{worker}]"


# Namespaces are those of modules and classes; their number is fixed.
@lru_cache(maxsize=1024)
def _short_name(namespace: str) -> str:
    if namespace == _LEGACY:
        return "twisted"
    module, _, last = namespace.rpartition(".")
    is_class = module and last.lstrip("_")[:1].isupper()
    return (module if is_class else namespace).removeprefix("phpgw.")
