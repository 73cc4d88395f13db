"""The text of a configuration: comments, indentation, and values that can be written safely."""

import re
import textwrap
from collections.abc import Iterable

# As wide as the other files of a server are.
_WIDTH = 88
_HOST = re.compile(r"[A-Za-z0-9._:-]+")


class CannotWrite(Exception):
    """No configuration of this kind fits. The text says why, and what to do."""


def comment(text: str) -> list[str]:
    """Return a text as lines that begin with ``#``."""
    return [f"# {line}" for line in textwrap.wrap(text, _WIDTH - 2, break_on_hyphens=False)]


def example(lines: Iterable[str]) -> list[str]:
    """Return lines to copy, as comments."""
    return [f"#     {line}" for line in lines]


def indented(lines: Iterable[str], unit: str = "    ") -> list[str]:
    """Return lines one level further to the right."""
    return [f"{unit}{line}" if line else "" for line in lines]


def joined(lines: Iterable[str]) -> str:
    """Return the text of a file with these lines."""
    return "\n".join([*lines, ""])


def checked(text: str, forbidden: str = "") -> str:
    """Return a value as it is.

    :param forbidden: characters that cannot be written in this kind of file.
    :raises CannotWrite: if there is a control character in the value, or one that is forbidden.
    """
    for character in text:
        if not character.isprintable() or character in forbidden:
            raise CannotWrite(f"{text!r} cannot be written here, because of {character!r}")
    return text


def host_and_port(host: str, port: int) -> str:
    """Return ``HOST:PORT``, with brackets around an IPv6 address.

    :raises CannotWrite: if the host is neither a name nor an address.
    """
    if not _HOST.fullmatch(host):
        raise CannotWrite(f"{host!r} is no name or address of a host")
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
