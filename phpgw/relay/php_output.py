"""PHP's output as a text for developers: what it has printed, and what it has logged."""

import re
from html import unescape

from phpgw.backend.reply import Reply

# How many bytes are read of what PHP has printed, and how many characters of it are returned.
_MAX_READ = 256 * 1024
_MAX_TEXT = 8000
_TAG = re.compile("<[^<>]{0,1000}>")
# Tags that begin or end a line.
_BREAK = re.compile(
    "</?(?:p|br|div|h[1-6]|li|[ou]l|pre|t[rdh]|table|section)(?![a-z])[^<>]{0,1000}>", re.IGNORECASE
)
# Elements whose content is no text.
_HIDDEN = (b"script", b"style", b"svg")
_PREFIX = b"PHP message: "


def readable_output(reply: Reply) -> str:
    """Return what PHP has written to its log, as far as it came with the reply, and the body.

    :returns: lines without markup; control characters are left as they are.
    """
    logged = reply.errors.replace(_PREFIX, b"").decode("utf-8", "backslashreplace").strip()
    printed = printed_text(reply.body)
    # With display_errors and log_errors, PHP says it twice.
    texts = [logged] if printed and printed in logged else [logged, printed]
    return "\n\n".join(text for text in texts if text)


def printed_text(body: bytes) -> str:
    """Return what a script has printed, without markup."""
    body = body[:_MAX_READ]
    is_markup = b"<" in body
    if is_markup:
        for name in _HIDDEN:
            body = _without(body, name)
    text = body.decode("utf-8", "backslashreplace").lstrip("\ufeff")
    if is_markup:
        text = unescape(_TAG.sub("", _BREAK.sub("\n", text)))
    lines = (line.rstrip() for line in text.splitlines())
    # Blank lines are what is left of markup.
    text = "\n".join(line for line in lines if line)
    return text if len(text) <= _MAX_TEXT else f"{text[:_MAX_TEXT]}..."


def _without(body: bytes, name: bytes) -> bytes:
    """Return a page without all elements of this name, in time that is linear in its length."""
    opening, closing = b"<" + name, b"</" + name + b">"
    kept, start, lower = [], 0, body.lower()
    while (begin := lower.find(opening, start)) >= 0:
        kept.append(body[start:begin])
        end = lower.find(closing, begin)
        start = len(body) if end < 0 else end + len(closing)
    return b"".join([*kept, body[start:]])
