"""Options of the command line that are declared as settings (:mod:`phpgw.settings`).

The values are not parsed here: a value counts only if no other place wins over it, and the errors
of all places are the same.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import click
from click.shell_completion import CompletionItem

from phpgw.settings.option import Given, Option
from phpgw.settings.sources import BY_NAME, given_on_command_line

_PATHS = {"FILE": "file", "DIRECTORY": "dir"}


class SettingText(click.ParamType):  # type: ignore[type-arg]
    """The text of a setting, as it was given. Shells complete it by its kind of value."""

    name = "text"

    def __init__(self, metavar: str) -> None:
        self._metavar = metavar

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Return the choices, or say that it is a file or a directory."""
        if self._metavar in _PATHS:
            return [CompletionItem(incomplete, type=_PATHS[self._metavar])]
        choices = self._metavar.split("|") if "|" in self._metavar else []
        return [CompletionItem(each) for each in choices if each.startswith(incomplete)]


def setting_options(options: Iterable[Option], *, hidden: bool = False) -> list[click.Parameter]:
    """Return the options of a command for settings.

    Each takes all texts that are given for it; :func:`given_texts` has them.

    :param hidden: whether the help of the command leaves them out.
    """
    return [_flag(each, hidden) if each.is_flag else _text(each, hidden) for each in options]


def _text(option: Option, hidden: bool) -> click.Option:
    return click.Option(
        [f"--{option.name}"],
        type=SettingText(option.metavar),
        metavar=option.metavar,
        multiple=True,
        help=option.description,
        hidden=hidden,
    )


def _flag(option: Option, hidden: bool) -> click.Option:
    return click.Option(
        [f"--{option.name}"],
        type=click.UNPROCESSED,
        flag_value=("on",),
        help=option.description,
        hidden=hidden,
    )


def given_texts(parameters: Mapping[str, Any]) -> dict[str, list[Given]]:
    """Return the texts of the settings among a command's parameters, by the settings' names."""
    texts = {name: parameters.get(name.replace("-", "_")) for name in BY_NAME}
    return {name: given_on_command_line(given) for name, given in texts.items() if given}
