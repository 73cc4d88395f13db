"""Finds errors that PHP has printed into a reply, as it does with ``display_errors`` on.

Only the exact format of PHP and Xdebug counts: a line of its own with kind, file and line number.
Anything less strict would match messages in which people write about such errors.
"""

import re
from collections.abc import Iterator

import attrs

from phpgw.relay.excerpt import first_line

# How many bytes an error may have before its line number; an exception has a stack trace there.
_MAX_ERROR = 65536

_ON_LINE = b" on line "
_DUMPED = (b"xdebug-var-dump", b".php:")
# A body with none of these has no error in it.
MARKS = (_ON_LINE, *_DUMPED)
# "... in /srv/app/chat.php on line 3": plain, with html_errors, and in a table of Xdebug's.
_END = re.compile(rb" on line (?:\d+(?=[\r\n]|\Z)|<b>\d+</b><br />|<i>\d+</i></th>)")
_START = re.compile(
    rb"(?:\A|\n|</span> )(?:<b>)?(?:PHP )?"
    rb"((?:Fatal|Recoverable fatal|Parse|Unknown) error|Warning|Notice|Deprecated"
    rb"|Strict Standards)(?:</b>)?: "
)
_ROOT = rb"(?:/|[A-Za-z]:[\\/]|[a-z][a-z0-9.+-]*://)"
_PLACE = re.compile(rb" in (?:<b>)?(?:%b|Unknown|Command line code)" % _ROOT)
# The output of var_dump() with Xdebug: "/srv/app/chat.php:3:", and the value.
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
    """An error that PHP itself has printed.

    :ivar kind: ``Warning``, ``Fatal error``, ``var_dump`` and so on.
    :ivar line: its first line for the log, without markup or control characters.
    """

    kind: str
    line: str


def find_php_error(body: bytes, said: bytes = b"") -> PhpError | None:
    """Return the first PHP error in the body of a reply; ``None`` if there is none.

    The time is proportional to the length of the body, for any content.

    :param said: the message that PHP replies to. An error within an exact echo of it does not
        count: its sender has it already.
    """
    if _ON_LINE in body and _START.search(body):
        found = _outside_echo(_reports(body), body, said)
        if found is not None:
            return found
    if any(mark in body for mark in _DUMPED):
        return _outside_echo(_dumps(body), body, said)
    return None


@attrs.frozen
class _Found:
    """The position of an error in a body.

    :ivar shown: the end of the part that may be logged.
    """

    kind: str
    start: int
    shown: int
    end: int


def _outside_echo(all_found: Iterator[_Found], body: bytes, said: bytes) -> PhpError | None:
    """Return the first error that is not part of an echo of the message."""
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
    """Find errors with a line number, in order."""
    body_end = len(body.rstrip())
    last_end = 0
    for end in _END.finditer(body):
        begin = max(last_end, end.start() - _MAX_ERROR)
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
    """Find the output of Xdebug's var_dump()."""
    for pattern in (_HTML_DUMP, _DUMP):
        found = pattern.search(body)
        if found is not None:
            # It goes on with what is dumped.
            yield _Found("var_dump", found.start(1), found.end(2), len(body.rstrip()))
