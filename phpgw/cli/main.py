"""The entry point of ``phpgw``: the list of commands, and the exit status."""

import sys
from collections.abc import Sequence
from importlib import import_module

import click

from phpgw.cli.api_exchange import Exchange, exchange
from phpgw.cli.errors import InvalidUsage, explain
from phpgw.cli.version import version_option
from phpgw.settings.option import InvalidOption, shortened

# Each is the name of a command, and of its room. The help has them in this order.
COMMANDS = (
    *("serve", "check", "status", "top", "tail", "clients", "send", "close"),
    *("console", "reload"),
    *("nginx", "caddy", "apache", "haproxy", "systemd", "supervisor"),
    *("completion", "version"),
)
# As a shell reports the end by SIGINT.
_INTERRUPTED = 130


class LazyGroup(click.Group):
    """A group of commands that loads only the room of the command that is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*COMMANDS]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(f"phpgw.cli.{cmd_name}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name, *rest = args
        command = self.get_command(ctx, name)
        if command is None:
            raise InvalidUsage(
                f"there is no command {shortened(repr(name), 80)}; phpgw --help lists them"
            )
        return name, command, rest


@click.group(
    "phpgw",
    cls=LazyGroup,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    params=[version_option()],
    epilog="phpgw COMMAND --help explains a command.",
)
@click.pass_context
def phpgw(context: click.Context) -> None:
    """A WebSocket gateway for PHP-FPM."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


def main(arguments: Sequence[str] | None = None, exchange: Exchange = exchange) -> None:
    """Run the command of a command line, and exit with its status.

    An error is one line on the standard error.

    :param arguments: those of the process, by default.
    :param exchange: sends requests to the gateway.
    :raises SystemExit: always.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            # Where the terminal has no Unicode, a name is readable anyway.
            stream.reconfigure(errors="backslashreplace")
    sys.exit(_run(sys.argv[1:] if arguments is None else arguments, exchange))


def _run(arguments: Sequence[str], exchange: Exchange) -> int:
    try:
        status = phpgw.main([*arguments], "phpgw", standalone_mode=False, obj=exchange)
    except click.ClickException as error:
        return _report(error)
    except InvalidOption as error:
        return _report(InvalidUsage(str(error)))
    except click.Abort:
        return _INTERRUPTED
    return status if isinstance(status, int) else 0


def _report(error: click.ClickException) -> int:
    click.echo(f"phpgw: {explain(error)}", err=True)
    return error.exit_code
