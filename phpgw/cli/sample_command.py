"""The base class of commands that print a configuration for another program."""

from collections.abc import Callable, Sequence
from typing import Any

import click

from phpgw.cli.command import Command
from phpgw.cli.errors import CommandFailed
from phpgw.cli.output import note, write
from phpgw.cli.parsed_value import ParsedValue
from phpgw.cli.setting_options import given_texts, setting_options
from phpgw.samples.proxied_gateway import MissingSetting, parse_address
from phpgw.samples.text import CannotWrite
from phpgw.samples.web_site import parse_name
from phpgw.settings import parsers
from phpgw.settings.sources import BY_NAME

_ADDRESS = (
    "Where the gateway is, as the proxy sees it: HOST:PORT or unix:/PATH. Default: as --listen "
    "says."
)
_SETTINGS = "It takes the options of phpgw serve, too, and reads the same configuration file."


class SampleCommand(Command):
    """A command with the options of ``phpgw serve``.

    Its callback gets the texts that are ``given`` for settings on the command line, and returns
    the text to print, and notes for whoever writes it into a file.
    """

    def __init__(
        self,
        name: str,
        *,
        callback: Callable[..., tuple[str, Sequence[str]]],
        description: str,
        params: Sequence[click.Parameter] = (),
        **more: Any,
    ) -> None:
        # They have their manual already, and it is long.
        settings = setting_options(BY_NAME.values(), hidden=True)
        super().__init__(
            name,
            callback=callback,
            help=f"{description} {_SETTINGS}",
            params=[*params, *settings],
            **more,
        )

    def invoke(self, ctx: click.Context) -> Any:
        """Print what the callback returns.

        :raises InvalidOption: if a setting is invalid.
        :raises CommandFailed: if there is no such configuration.
        """
        given = given_texts(ctx.params)
        for name in BY_NAME:
            del ctx.params[name.replace("-", "_")]
        ctx.params["given"] = given
        try:
            text, notes = super().invoke(ctx)
        except CannotWrite as error:
            raise CommandFailed(str(error)) from None
        write(text.removesuffix("\n"))
        for each in notes:
            note(f"phpgw: {each}")


def describe(missing: Sequence[MissingSetting]) -> list[str]:
    """Return notes about what the gateway's own configuration lacks."""
    return [f"the gateway's configuration lacks {each.line} ({each.reason})" for each in missing]


def address_option(description: str = _ADDRESS) -> click.Option:
    """Return an option that says where the gateway is."""
    return click.Option(
        ["--address"],
        metavar="ADDRESS",
        type=ParsedValue(parse_address),
        help=description,
    )


def program_option() -> click.Option:
    """Return an option that says which program a service runs."""
    return click.Option(
        ["--program"],
        metavar="FILE",
        type=ParsedValue(parsers.absolute_path),
        help="The program of the service. Default: this one.",
    )


def server_name_option(description: str) -> click.Option:
    """Return an option that asks for more than a part of a configuration."""
    return click.Option(
        ["--server-name"], metavar="NAME", type=ParsedValue(parse_name), help=description
    )
