"""Plain replies that are not meant for a browser: PHP's source, and commands without their type.

Both look like a success. A web server that does not hand a script to PHP any more serves its
source, with the passwords in it. A script that printed something before ``header()`` lost its
``Content-Type``, and its commands look like text.
"""

import json
import re

from phpgw.command_parser import OPS

_BOM = b"\xef\xbb\xbf"
# PHP's opening tags are the same in capitals. The short one is too common but at the beginning.
_SOURCE = re.compile(rb"<\?(?:php(?![a-z0-9])|=)|\A\s*<\?\s", re.IGNORECASE)
_LIST = re.compile(rb"\[\s*\{")
_OP = b'"op"'


def find_problem(body: bytes, said: bytes = b"") -> str | None:
    """Return why a plain body may not be sent to a browser; ``None`` if it may.

    The time it takes is proportional to the body's length.

    :param said: the message that is answered. Its echo, word for word, is no problem: whoever
        sent it has it already.
    """
    if b"<?" not in body and _OP not in body:
        return None
    rest = body.replace(said.strip(), b"", 1) if said.strip() else body
    rest = rest.removeprefix(_BOM).strip()
    # Nothing that is JSON as a whole is PHP's source, whatever its strings quote.
    if _SOURCE.search(rest) and _json(rest) is None:
        return (
            "it is the source of a PHP script (it has <?php in it): does the web server hand the "
            "script to PHP?"
        )
    if _OP in rest and (_is_list(rest) or _is_lines(rest, body)):
        return (
            "it has commands, and the Content-Type of text: print nothing before "
            "header('Content-Type: application/vnd.phpgw+json') (is there a blank line or a byte "
            "order mark before <?php in a file?)"
        )
    return None


def _is_list(text: bytes) -> bool:
    """Tell a list of commands, with or without something printed before it."""
    if text.startswith(b"["):
        values = _json(text)
    else:
        start = _LIST.search(text)
        values = None if start is None else _json(text[start.start() :])
    return isinstance(values, list) and bool(values) and all(map(_is_command, values))


def _is_lines(text: bytes, body: bytes) -> bool:
    """Tell streamed commands, each with a line feed; an application's own JSON has none."""
    if not text.startswith(b"{") or not body.endswith(b"\n"):
        return False
    return all(_is_command(_json(line)) for line in text.splitlines() if line.strip())


def _is_command(value: object) -> bool:
    return isinstance(value, dict) and isinstance(value.get("op"), str) and value["op"] in OPS


def _json(text: bytes) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
