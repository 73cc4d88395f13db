"""The errors of commands: one line for each, and an exit status.

====== ======================================================
0      all is well
1      something is wrong
2      usage, or a configuration that cannot be read
3      the gateway cannot be reached
====== ======================================================
"""

import click

from phpgw.escape import printable
from phpgw.settings.option import explain_unknown, shortened


class CommandFailed(click.ClickException):
    """A command could not do what it was told. The text says why, and what to do."""

    exit_code = 1


class InvalidUsage(click.ClickException):
    """A command line, or the configuration, is wrong. The text says what is expected."""

    exit_code = 2


class GatewayUnreachable(click.ClickException):
    """There is no gateway where it should be. The text says where that is, and what to do."""

    exit_code = 3


def explain(error: click.ClickException) -> str:
    """Return the line for people about an error: what is wrong, and what is expected."""
    return printable(" ".join(_explanation(error).splitlines()))


def _explanation(error: click.ClickException) -> str:
    context = error.ctx if isinstance(error, click.UsageError) else None
    if context is None:
        return error.message
    if isinstance(error, click.NoSuchOption):
        return f"{shortened(error.option_name)}: {_no_such_option(error.option_name, context)}"
    if isinstance(error, click.MissingParameter) and error.param is not None:
        return f"{_name(error.param)} is missing; try {context.command_path} --help"
    if isinstance(error, click.BadParameter) and error.param is not None:
        return f"{_name(error.param)}: {error.message}"
    return f"{error.message}; try {context.command_path} --help"


def _no_such_option(name: str, context: click.Context) -> str:
    known = [option for each in context.command.params for option in each.opts if "--" in option]
    return explain_unknown(name, known, dashes="")


def _name(parameter: click.Parameter) -> str:
    is_option = isinstance(parameter, click.Option)
    return parameter.opts[-1] if is_option else (parameter.human_readable_name or "")
