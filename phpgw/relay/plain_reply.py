"""Finds plain replies that a browser must not see: PHP source, and commands without their type.

Both have a success status. A web server that no longer passes a script to PHP serves its source,
with the passwords in it. A script that prints something before ``header()`` loses its
``Content-Type``, so its commands look like text.
"""

import json
import re

from phpgw.hub.command_parser import OPS

_BOM = b"\xef\xbb\xbf"
# PHP's opening tags, in any case. The short tag counts at the beginning only, as it is common.
_SOURCE = re.compile(rb"<\?(?:php(?![a-z0-9])|=)|\A\s*<\?\s", re.IGNORECASE)
# The text around an echo is source if it contains the end of a statement, of an array entry, or of
# PHP code.
_CODE = re.compile(rb"[;,][ \t]*(?:\r?\n|\Z|//|#|\?>)|=>|\?>")
_LIST = re.compile(rb"\[\s*\{")
_OPEN, _OP = b"<?", b'"op"'
# A body with none of these has no problem.
MARKS = (_OPEN, _OP)
_read = json.JSONDecoder().raw_decode


def find_problem(body: bytes, said: bytes = b"") -> str | None:
    """Return why a browser must not see a plain body; ``None`` if it may.

    The time is proportional to the length of the body.

    :param said: the message that PHP replies to. An exact echo of it is allowed: its sender has it
        already.
    """
    if _OPEN not in body and _OP not in body:
        return None
    text = body.removeprefix(_BOM).strip()
    echo = _span(text, said.strip())
    # A body that is valid JSON is not PHP source, even if its strings quote some.
    if _has_source(text, echo) and _json(text) is None:
        return (
            "it is the source of a PHP script (it has <?php in it): does the web server hand the "
            "script to PHP?"
        )
    if _OP in text and _has_commands(text, echo, ends_line=body.endswith(b"\n")):
        return (
            "it has commands, and the Content-Type of text: print nothing before "
            "header('Content-Type: application/vnd.phpgw+json') (is there a blank line or a byte "
            "order mark before <?php in a file?)"
        )
    return None


def _span(text: bytes, said: bytes) -> tuple[int, int]:
    """Return start and end of the echo of a message; 0 and 0 if there is none."""
    start = text.find(said) if said else -1
    return (0, 0) if start < 0 else (start, start + len(said))


def _is_within(part: tuple[int, int], echo: tuple[int, int]) -> bool:
    """Return whether a part of a text lies within the echo."""
    return echo[0] <= part[0] and part[1] <= echo[1]


def _has_source(text: bytes, echo: tuple[int, int]) -> bool:
    """Return whether a text has PHP source beyond an echo of a message that has ``<?php`` in it."""
    tags = [tag.span() for tag in _SOURCE.finditer(text)]
    if not all(_is_within(tag, echo) for tag in tags):
        return True
    return bool(tags) and any(map(_CODE.search, (text[: echo[0]], text[echo[1] :])))


def _has_commands(text: bytes, echo: tuple[int, int], ends_line: bool) -> bool:
    """Return whether a text has commands outside an echo.

    :param ends_line: whether a line feed follows the text. Each streamed command ends with one; an
        application's own JSON does not.
    """
    start = _start_of_lines(text) if ends_line else None
    if start is not None:
        return not _is_within((start, len(text)), echo)
    found = _list_in(text)
    if found is None or not _is_within(found, echo):
        return found is not None
    return _list_in(text[echo[1] :]) is not None


def _list_in(text: bytes) -> tuple[int, int] | None:
    """Return start and end of a list of commands, with any text before and after it."""
    start = _LIST.search(text)
    if start is None:
        return None
    try:
        # Latin-1 has a character for each byte, and the same ones for JSON's syntax.
        values, end = _read(text.decode("latin-1"), start.start())
    except (ValueError, RecursionError):
        return None
    is_list = all(map(_is_command, values)) and bool(values)
    return (start.start(), end) if is_list else None


def _start_of_lines(text: bytes) -> int | None:
    """Return the start of lines of commands that go on to the end, with any text before them."""
    start = 0 if text.startswith(b"{") else text.find(b"\n{") + 1
    lines = text[start:].splitlines()
    is_stream = text[start:].startswith(b"{") and all(
        _is_command(_json(line)) for line in lines if line.strip()
    )
    return start if is_stream else None


def _is_command(value: object) -> bool:
    """Return whether a JSON value looks like a command."""
    return isinstance(value, dict) and isinstance(value.get("op"), str) and value["op"] in OPS


def _json(text: bytes) -> object:
    """Return a JSON value; ``None`` if the text is not valid JSON."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
