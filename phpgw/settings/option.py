"""An option: its declaration, a given value, and the error for an invalid one.

The declaration is the only place for an option's names, default, parser and help text. The field
``php_url`` is ``--php-url`` on the command line, ``PHPGW_PHP_URL`` in the environment, and
``php-url`` in a configuration file.
"""

import difflib
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import attrs


class InvalidOption(Exception):
    """The value of an option is invalid.

    :ivar name: the name of the option, as in ``php-url``.
    :ivar given: the given text and its source; ``None`` if the option is missing.
    :ivar expected: a description of valid values.
    """

    def __init__(self, name: str, expected: str, given: str | None = None) -> None:
        # A longer limit, since the given text is already short and its source follows it.
        problem = f"got {shortened(given, 300)}; " if given is not None else ""
        # Error messages of libraries may have several lines, or contain the whole value.
        reason = shortened(" ".join(expected.split()))
        super().__init__(f"--{name}: {problem}expected {reason}")
        self.name = name
        self.expected = expected
        self.given = given


def shortened(text: str, length: int = 200) -> str:
    """Return a text, cut off for use in a message if it is longer than this."""
    if len(text) <= length:
        return text
    return f"{text[:length]}... ({len(text)} characters)"


@attrs.frozen(kw_only=True)
class Option:
    """The declaration of an option.

    :ivar name: the name on the command line, without the leading dashes.
    :ivar section: the heading in the manual.
    :ivar metavar: the placeholder for the value in the manual; empty for a flag, which has no value
        on the command line, and means ``on``.
    :ivar parse: converts a text to a value; raises :exc:`ValueError` with a description of valid
        values.
    :ivar default: the default as a text; ``None`` if there is none.
    :ivar dev_default: the default with ``--dev`` as a text; ``None`` if it is the same.
    :ivar repeatable: whether it can be given several times. Its value is then a tuple.
    :ivar description: the help text.
    """

    name: str
    section: str
    metavar: str
    parse: Callable[[str], object]
    default: str | None
    dev_default: str | None = None
    repeatable: bool
    description: str

    @property
    def is_flag(self) -> bool:
        """Return whether the option has no value on the command line."""
        return not self.metavar

    @property
    def environment_name(self) -> str:
        """Return the name of the environment variable, as in ``PHPGW_PHP_URL``."""
        return "PHPGW_" + self.name.replace("-", "_").upper()


@attrs.frozen
class Given:
    """A text that was given for an option.

    :ivar source: where it was given, for error messages.
    """

    text: str
    source: str

    def __str__(self) -> str:
        return f"{shortened(repr(self.text))} ({self.source})"


def explain_unknown(name: str, known: Iterable[str], dashes: str = "--") -> str:
    """Return an explanation that there is no option of this name, with a suggestion.

    :param known: the names of the options that there are.
    :param dashes: what stands before a name that is suggested.
    """
    close = difflib.get_close_matches(name[:80], known, n=1)
    meant = f"did you mean {dashes}{close[0]}?" if close else "--help lists them"
    return f"there is no such option; {meant}"


def parse_given(option: Option, given: Sequence[Given]) -> object:
    """Return the value of the texts that were given for an option.

    Without ``repeatable``, the last text counts.

    :param given: one text at least.
    :raises InvalidOption: for the first text that is invalid.
    """
    values = [_parse(option, each) for each in given]
    return tuple(values) if option.repeatable else values[-1]


def _parse(option: Option, given: Given) -> object:
    try:
        return option.parse(given.text)
    except ValueError as error:
        raise InvalidOption(option.name, str(error), str(given)) from None


def option(
    section: str,
    metavar: str,
    parse: Callable[[str], object],
    default: str | None,
    description: str,
    *,
    dev_default: str | None = None,
    repeatable: bool = False,
) -> Any:
    """Declare a field of a settings class as an option.

    See :class:`Option` for the parameters. The option's name is the field's name.
    """

    def declared(name: str) -> Option:
        return Option(
            name=name.replace("_", "-"),
            section=section,
            metavar=metavar,
            parse=parse,
            default=default,
            dev_default=dev_default,
            repeatable=repeatable,
            description=description,
        )

    texts = [] if default is None else [default]
    parsed = tuple(parse(text) for text in texts)
    value = parsed if repeatable else next(iter(parsed), None)
    return attrs.field(default=value, metadata={"declared": declared})
