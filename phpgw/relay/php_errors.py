"""Where PHP has printed its own trouble into a reply, as it does with ``display_errors`` on.

What is looked for is what PHP and Xdebug print, to the letter: a line of their own, a kind, a file
and a line number. People may talk about such things.
"""

import re
from collections.abc import Iterator

import attrs

from phpgw.relay.excerpt import first_line

# How far before its place a report may begin: that of an exception has a stack trace in between.
_FARTHEST = 65536

_ON_LINE = b" on line "
# "... in /srv/app/chat.php on line 3", the same with html_errors, and in a table of Xdebug's.
_END = re.compile(rb" on line (?:\d+(?=[\r\n]|\Z)|<b>\d+</b><br />|<i>\d+</i></th>)")
_START = re.compile(
    rb"(?:\A|\n|</span> )(?:<b>)?(?:PHP )?"
    rb"((?:Fatal|Recoverable fatal|Parse|Unknown) error|Warning|Notice|Deprecated"
    rb"|Strict Standards)(?:</b>)?: "
)
_ROOT = rb"(?:/|[A-Za-z]:[\\/]|[a-z][a-z0-9.+-]*://)"
_PLACE = re.compile(rb" in (?:<b>)?(?:%b|Unknown|Command line code)" % _ROOT)
# What Xdebug makes of var_dump(): "/srv/app/chat.php:3:", and the value.
_DUMP = re.compile(
    rb"(?:\A|\n)((%b[^\n:]{1,1024}:\d+:)\n"
    rb"(?:array|string|int|double|bool|object|resource|class|enum|NULL)\b)" % _ROOT
)
_HTML_DUMP = re.compile(
    rb"(<pre class='xdebug-var-dump'[^>]{0,50}>\n<small>([^<]{1,1024}))</small>"
)
_STACK = b"\n\nCall Stack:\n"


@attrs.frozen
class PhpError:
    """Something that PHP has printed, and not the script.

    :ivar kind: ``Warning``, ``Fatal error``, ``var_dump`` and so on.
    :ivar line: its first line, without markup or control characters, for the log.
    """

    kind: str
    line: str


def find_php_error(body: bytes, said: bytes = b"") -> PhpError | None:
    """The first in a reply's body; ``None`` where all is as the script wants it.

    The time it takes is proportional to the body's length, whatever is in it.

    :param said: the message that is answered. What is within its echo, word for word, is no
        error of PHP's: its sender has it already.
    """
    if _ON_LINE in body and _START.search(body):
        found = _outside_echo(_reports(body), body, said)
        if found is not None:
            return found
    if b"xdebug-var-dump" in body or b".php:" in body:
        return _outside_echo(_dumps(body), body, said)
    return None


@attrs.frozen
class _Found:
    """Where there is one.

    :ivar shown: where that ends which may be shown to whoever reads the log.
    """

    kind: str
    start: int
    shown: int
    end: int


def _outside_echo(all_found: Iterator[_Found], body: bytes, said: bytes) -> PhpError | None:
    said = said.strip()
    echo_start = body.find(said)
    if echo_start < 0:
        echo_start = len(body)
    echo_end = echo_start + len(said)
    for found in all_found:
        if not echo_start <= found.start <= found.end <= echo_end:
            return PhpError(found.kind, first_line(body[found.start : found.shown]))
    return None


def _reports(body: bytes) -> Iterator[_Found]:
    body_end = len(body.rstrip())
    last_end = 0
    for end in _END.finditer(body):
        begin = max(last_end, end.start() - _FARTHEST)
        last_end = end.end()
        starts = list(_START.finditer(body, begin, end.start()))
        if not starts:
            continue
        start = starts[-1]
        last_line = max(body.rfind(b"\n", start.end(), end.start()), start.end() - 1)
        if _PLACE.search(body, last_line, end.start()):
            # After Xdebug's there is the stack, and what the variables hold.
            is_xdebug = end[0].endswith(b"</th>") or body.startswith(_STACK, last_end)
            whole = body_end if is_xdebug else last_end
            yield _Found(start[1].decode(), start.start(1), last_end, whole)


def _dumps(body: bytes) -> Iterator[_Found]:
    for pattern in (_HTML_DUMP, _DUMP):
        found = pattern.search(body)
        if found is not None:
            # It goes on with what is dumped.
            yield _Found("var_dump", found.start(1), found.end(2), len(body.rstrip()))
