"""Values of a command's own options, read by the parsers of the settings."""

from collections.abc import Callable

import click

from phpgw.settings.option import shortened


class ParsedValue(click.ParamType):  # type: ignore[type-arg]
    """A value that a parser reads (:mod:`phpgw.settings.parsers`).

    :param parse: raises :exc:`ValueError` with a description of valid values.
    """

    name = "value"

    def __init__(self, parse: Callable[[str], object]) -> None:
        self._parse = parse

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> object:
        """Return the value of a text; that of a default as it is."""
        if not isinstance(value, str):
            return value
        try:
            return self._parse(value)
        except ValueError as error:
            self.fail(f"got {shortened(repr(value))}; expected {error}", param, ctx)
