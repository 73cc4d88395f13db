"""The first line of a reply's body, fit for the log."""

import re
from html import unescape

# How much of what PHP printed goes to the log with a failure.
LONGEST_EXCERPT = 200
# How much of it is looked through for how much of an echo.
_LONGEST_HEAD = 4096
_LONGEST_KEY = 1024
_LONGEST_LINE = 300
_TAG = re.compile("<[^<>]{0,100}>")


def first_line(body: bytes, longest: int = _LONGEST_LINE) -> str:
    """Return the first line with text in it, without markup and with control characters escaped.

    Only the beginning of the body is read.

    :param longest: characters that are kept.
    :returns: an empty string if there is no text.
    """
    lines = body[: 4 * longest].decode("utf-8", "backslashreplace").splitlines()
    texts = (_TAG.sub("", line).strip(" \t\ufeff") for line in lines)
    line = unescape(next(filter(None, texts), ""))
    return repr(line[:longest])[1:-1]


def excerpt(body: bytes, said: bytes = b"") -> str:
    """Return the first line of what PHP printed, for the log.

    :param said: the message that is answered, whose echo does not belong there.
    """
    return first_line(_without_echo(body, said.strip()), LONGEST_EXCERPT)


def _without_echo(body: bytes, said: bytes) -> bytes:
    """Leave out the first place where a message stands by itself, and not within a word."""
    head, key = body[:_LONGEST_HEAD], said[:_LONGEST_KEY]
    start = head.find(key) if key else -1
    while start >= 0:
        end = start + len(said)
        if not (head[start - 1 : start].isalnum() or body[end : end + 1].isalnum()):
            return head[:start] + body[end : end + _LONGEST_HEAD]
        start = head.find(key, start + 1)
    return head
