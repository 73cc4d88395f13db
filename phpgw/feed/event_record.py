"""Events that have ended, as JSON objects. Headers are not among it, so no cookie is."""

from typing import Any

from phpgw.relay.event_report import EventReport

EventRecord = dict[str, Any]

# Bytes of a message or a reply that are kept.
MAX_BODY = 4096
_MAX_PROBLEM = 1000


def event_record(report: EventReport, has_bodies: bool) -> EventRecord:
    """Return an event as the API and the feed describe it.

    :param has_bodies: whether the message and the reply are among it, or their sizes alone.
    """
    event, php_seconds = report.event, report.php_seconds
    return {
        "id": event.id,
        "at": report.at,
        "type": event.type,
        "client_id": event.identity.client_id or None,
        "user": event.identity.user,
        "outcome": report.outcome,
        "status": report.status,
        "wait_ms": round(report.waited * 1000, 3),
        "php_ms": None if php_seconds is None else round(php_seconds * 1000, 3),
        "problem": report.problem[:_MAX_PROBLEM],
        "is_binary": event.is_binary,
        "message_size": len(event.message),
        "reply_size": len(report.reply),
        "message": _text(event.message) if has_bodies else None,
        "reply": _text(report.reply) if has_bodies else None,
    }


def _text(body: bytes) -> str:
    """Return the beginning of a body as text; what is no UTF-8 looks like ``\\xff``."""
    end = MAX_BODY
    # Not in the middle of a character, which has four bytes at most (RFC 3629).
    while len(body) > end > MAX_BODY - 3 and body[end] & 0xC0 == 0x80:
        end -= 1
    return body[:end].decode(errors="backslashreplace")
