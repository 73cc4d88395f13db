"""The first line of a reply's body, fit for the log."""

import re
from html import unescape

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
