"""Excerpts of replies for the log."""

import re
from html import unescape

# How many characters of a reply are logged with a failure.
MAX_EXCERPT = 200
# How many bytes of a reply are searched for an echo, and how many bytes of the message are sought.
_MAX_HEAD = 4096
_MAX_KEY = 1024
_MAX_LINE = 300
_TAG = re.compile("<[^<>]{0,100}>")


def first_line(body: bytes, max_length: int = _MAX_LINE) -> str:
    """Return the first line with text, without markup and with control characters escaped.

    Only the beginning of the body is read.

    :param max_length: how many characters are returned.
    :returns: an empty string if there is no text.
    """
    lines = body[: 4 * max_length].decode("utf-8", "backslashreplace").splitlines()
    texts = (_TAG.sub("", line).strip(" \t\ufeff") for line in lines)
    line = unescape(next(filter(None, texts), ""))
    return repr(line[:max_length])[1:-1]


def excerpt(body: bytes, said: bytes = b"") -> str:
    """Return the first line of a reply for the log.

    :param said: the message that PHP replies to; an echo of it is left out, as it is private.
    """
    return first_line(_without_echo(body, said.strip()), MAX_EXCERPT)


def _without_echo(body: bytes, said: bytes) -> bytes:
    """Return a body without the first echo of a message that is not part of a word."""
    head, key = body[:_MAX_HEAD], said[:_MAX_KEY]
    start = head.find(key) if key else -1
    while start >= 0:
        end = start + len(said)
        if not (head[start - 1 : start].isalnum() or body[end : end + 1].isalnum()):
            return head[:start] + body[end : end + _MAX_HEAD]
        start = head.find(key, start + 1)
    return head
