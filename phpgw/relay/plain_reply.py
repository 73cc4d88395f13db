"""Plain replies that are not meant for a browser: PHP's source, and commands without their type.

Both look like a success. A web server that does not hand a script to PHP any more serves its
source, with the passwords in it. A script that printed something before ``header()`` lost its
``Content-Type``, and its commands look like text.
"""

import json
import re

from phpgw.hub.command_parser import OPS

_BOM = b"\xef\xbb\xbf"
# PHP's opening tags are the same in capitals. The short one is too common but at the beginning.
_SOURCE = re.compile(rb"<\?(?:php(?![a-z0-9])|=)|\A\s*<\?\s", re.IGNORECASE)
# What is around an echo is more of a script if it has the end of a statement, of an entry in an
# array, or of PHP.
_CODE = re.compile(rb"[;,][ \t]*(?:\r?\n|\Z|//|#|\?>)|=>|\?>")
_LIST = re.compile(rb"\[\s*\{")
_OP = b'"op"'
_read = json.JSONDecoder().raw_decode


def find_problem(body: bytes, said: bytes = b"") -> str | None:
    """Return why a plain body may not be sent to a browser; ``None`` if it may.

    The time it takes is proportional to the body's length.

    :param said: the message that is answered. Its echo, word for word, is no problem: whoever
        sent it has it already.
    """
    if b"<?" not in body and _OP not in body:
        return None
    text = body.removeprefix(_BOM).strip()
    echo = _span(text, said.strip())
    # Nothing that is JSON as a whole is PHP's source, whatever its strings quote.
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
    """Find the echo of a message; from 0 to 0 if there is none."""
    start = text.find(said) if said else -1
    return (0, 0) if start < 0 else (start, start + len(said))


def _is_within(part: tuple[int, int], echo: tuple[int, int]) -> bool:
    return echo[0] <= part[0] and part[1] <= echo[1]


def _has_source(text: bytes, echo: tuple[int, int]) -> bool:
    """Tell source, but for an echo; who writes ``<?php`` is not given the script for it."""
    tags = [tag.span() for tag in _SOURCE.finditer(text)]
    if not all(_is_within(tag, echo) for tag in tags):
        return True
    return bool(tags) and any(map(_CODE.search, (text[: echo[0]], text[echo[1] :])))


def _has_commands(text: bytes, echo: tuple[int, int], ends_line: bool) -> bool:
    """Tell commands, but for those in an echo.

    :param ends_line: whether a line feed is behind the text. Streamed commands have one each; an
        application's own JSON has none.
    """
    start = _start_of_lines(text) if ends_line else None
    if start is not None:
        return not _is_within((start, len(text)), echo)
    found = _list_in(text)
    if found is None or not _is_within(found, echo):
        return found is not None
    return _list_in(text[echo[1] :]) is not None


def _list_in(text: bytes) -> tuple[int, int] | None:
    """Find a list of commands, with or without something printed before and behind it."""
    start = _LIST.search(text)
    if start is None:
        return None
    try:
        # Latin-1 has a character for each byte, and JSON's own are the same in it.
        values, end = _read(text.decode("latin-1"), start.start())
    except (ValueError, RecursionError):
        return None
    is_list = all(map(_is_command, values)) and bool(values)
    return (start.start(), end) if is_list else None


def _start_of_lines(text: bytes) -> int | None:
    """Find lines of commands that go on to the end; something may be printed before."""
    start = 0 if text.startswith(b"{") else text.find(b"\n{") + 1
    lines = text[start:].splitlines()
    is_stream = text[start:].startswith(b"{") and all(
        _is_command(_json(line)) for line in lines if line.strip()
    )
    return start if is_stream else None


def _is_command(value: object) -> bool:
    return isinstance(value, dict) and isinstance(value.get("op"), str) and value["op"] in OPS


def _json(text: bytes) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
