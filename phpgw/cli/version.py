"""``phpgw version`` and ``--version``."""

import click

from phpgw import __version__
from phpgw.cli.command import Command


def version_option() -> click.Option:
    """Return an option ``--version``, which prints the version and ends the command."""
    return click.Option(
        ["--version"],
        is_flag=True,
        is_eager=True,
        expose_value=False,
        callback=_print_and_exit,
        help="Print the version.",
    )


def _print_and_exit(context: click.Context, parameter: click.Parameter, is_given: bool) -> None:
    if is_given and not context.resilient_parsing:
        print_version()
        context.exit()


def print_version() -> None:
    """Print the version of phpgw."""
    click.echo(f"phpgw {__version__}")


command = Command(
    "version",
    callback=print_version,
    help="Print the version.",
    examples="phpgw version",
)
