"""``phpgw completion``: lets a shell complete the command line."""

import click
from click.shell_completion import get_completion_class

from phpgw.cli.command import Command
from phpgw.cli.output import write

_SHELLS = ("bash", "zsh", "fish")
# click's own name for phpgw.
_VARIABLE = "_PHPGW_COMPLETE"


@click.pass_context
def _print_script(context: click.Context, shell: str) -> None:
    kind = get_completion_class(shell)
    assert kind is not None
    write(kind(context.find_root().command, {}, "phpgw", _VARIABLE).source())


command = Command(
    "completion",
    callback=_print_script,
    params=[click.Argument(["shell"], type=click.Choice(_SHELLS))],
    help="Print a script that lets a shell complete commands and options. The examples are lines "
    "for ~/.bashrc, ~/.zshrc and ~/.config/fish/config.fish.",
    short_help="Print a script for the completion of a shell.",
    examples="""\
eval "$(phpgw completion bash)"
eval "$(phpgw completion zsh)"
phpgw completion fish | source""",
)
