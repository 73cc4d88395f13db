"""The text form of Twisted's endpoints: ``kind:argument:name=argument``.

A backslash escapes a colon, an equals sign or a backslash in an argument.
"""

import re

# A part of an endpoint string, up to the next colon that is not escaped by a backslash.
_PART = re.compile(r"(?:\\.|[^\\:])+", re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_SPECIAL = re.compile(r"[\\:]")
_NAMED_ARGUMENT = re.compile(r"([A-Za-z]\w*)=(.*)", re.DOTALL)


def split_parts(text: str) -> list[str]:
    """Split an endpoint's text at its colons; the parts keep their backslashes."""
    return _PART.findall(text)


def unescape(part: str) -> str:
    """Return a part, or a piece of one, without the backslashes that escape characters."""
    return _ESCAPED.sub(r"\1", part)


def escape(argument: str) -> str:
    """Return an argument with backslashes before the characters that need one.

    ``twisted.internet.endpoints.quoteStringArgument`` does the same; importing it takes long.
    """
    return _SPECIAL.sub(r"\\\g<0>", argument)


def parse_arguments(parts: list[str]) -> tuple[list[str], dict[str, str]]:
    """Return the arguments in the parts behind the kind: those without a name, and the others."""
    positional: list[str] = []
    named: dict[str, str] = {}
    for part in parts:
        argument = _NAMED_ARGUMENT.fullmatch(part)
        if argument is not None:
            named[argument[1]] = unescape(argument[2])
        else:
            positional.append(unescape(part))
    return positional, named
