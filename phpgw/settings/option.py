"""What an option is: its declaration, what was given for it, and what is wrong with that.

A declaration gives the option its name on the command line (``php_url`` is ``--php-url``), in
the environment (``PHPGW_PHP_URL``) and in a configuration file (``php-url``), its default, the
way its text is read and its line in the manual. Nothing else in the package repeats any of it.
"""

from collections.abc import Callable
from typing import Any

import attrs


class InvalidOption(Exception):
    """An option's value cannot be used.

    :ivar name: the option, as ``php-url``.
    :ivar given: what was given, with where it came from; ``None`` where nothing was.
    :ivar expected: what would be right.
    """

    def __init__(self, name: str, expected: str, given: str | None = None) -> None:
        # Of a text that was shortened already, the place where it was given still fits.
        problem = f"got {shortened(given, 300)}; " if given is not None else ""
        # Libraries explain themselves in several lines, or repeat what they were given.
        reason = shortened(" ".join(expected.split()))
        super().__init__(f"--{name}: {problem}expected {reason}")
        self.name = name
        self.expected = expected
        self.given = given


def shortened(text: str, length: int = 200) -> str:
    """A text for a line that somebody is to read."""
    if len(text) <= length:
        return text
    return f"{text[:length]}... ({len(text)} characters)"


@attrs.frozen(kw_only=True)
class Option:
    """One option's declaration.

    :ivar name: as on the command line, without dashes before it.
    :ivar section: the heading in the manual under which it stands.
    :ivar metavar: what stands for the value in the manual.
    :ivar parse: text to value; raises :exc:`ValueError` saying what would be right.
    :ivar default: as text, the way a user would write it; ``None`` where there is none.
    :ivar repeatable: whether it may be given several times; its value is then a tuple.
    :ivar description: what it does, in a sentence or two.
    """

    name: str
    section: str
    metavar: str
    parse: Callable[[str], object]
    default: str | None
    repeatable: bool
    description: str

    @property
    def environment_name(self) -> str:
        """The variable that sets it, as ``PHPGW_PHP_URL``."""
        return "PHPGW_" + self.name.replace("-", "_").upper()


@attrs.frozen
class Given:
    """A text that was given for an option, and where: ``--config`` file, environment, ..."""

    text: str
    source: str

    def __str__(self) -> str:
        return f"{shortened(repr(self.text))} ({self.source})"


def option(
    section: str,
    metavar: str,
    parse: Callable[[str], object],
    default: str | None,
    description: str,
    *,
    repeatable: bool = False,
) -> Any:
    def declared(name: str) -> Option:
        return Option(
            name=name.replace("_", "-"),
            section=section,
            metavar=metavar,
            parse=parse,
            default=default,
            repeatable=repeatable,
            description=description,
        )

    texts = [] if default is None else [default]
    parsed = tuple(parse(text) for text in texts)
    value = parsed if repeatable else next(iter(parsed), None)
    return attrs.field(default=value, metadata={"declared": declared})
