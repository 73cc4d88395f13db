"""The lines of ``phpgw tail``."""

from datetime import datetime
from typing import Any

import click

from phpgw.cli.output import cut
from phpgw.escape import printable

_COLOURS = {"failed": "red", "refused": "yellow", "withdrawn": "yellow"}
_MAX_TEXT = 60


def event_line(event: dict[str, Any]) -> str:
    """Return the line about an event, for people. Foreign texts in it are safe for a terminal."""
    return "  ".join(
        [
            datetime.fromtimestamp(event["at"]).strftime("%H:%M:%S.%f")[:-3],
            f"{_safe(event['type']):<10}",
            _safe(event["client_id"]),
            *([f"user {_safe(event['user'])}"] if event["user"] is not None else []),
            _outcome(event),
            _durations(event),
            _content(event),
            *([_safe(event["problem"])] if event["problem"] else []),
            f"({_safe(event['id'])})",
        ]
    )


def _outcome(event: dict[str, Any]) -> str:
    outcome = _safe(event["outcome"])
    text = outcome if event["status"] is None else f"{outcome} {event['status']}"
    return click.style(text, fg=_COLOURS.get(outcome))


def _durations(event: dict[str, Any]) -> str:
    waited = f"waited {event['wait_ms']:.1f} ms"
    return waited if event["php_ms"] is None else f"{waited}, PHP {event['php_ms']:.1f} ms"


def _content(event: dict[str, Any]) -> str:
    """Return the message and the reply, or their sizes if they are not recorded."""
    message = _body(event["message"], event["message_size"])
    reply = _body(event["reply"], event["reply_size"])
    return f"{message} > {reply}"


def _body(text: str | None, size: int) -> str:
    if text is None:
        return f"{size} B"
    safe = printable(text[:_MAX_TEXT])
    shown = cut(safe, _MAX_TEXT)
    more = f" ({size} B)" if len(shown) < len(safe) or len(text) > _MAX_TEXT else ""
    return f'"{shown}"{more}'


def _safe(value: object) -> str:
    return "-" if value is None else printable(str(value))
