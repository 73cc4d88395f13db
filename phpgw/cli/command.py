"""The base class of all commands."""

from typing import Any

import click

from phpgw.cli.errors import InvalidUsage


class Command(click.Command):
    """A command whose help ends with examples.

    :param examples: command lines, one on each line.
    """

    def __init__(self, name: str, *, examples: str = "", **attributes: Any) -> None:
        super().__init__(name, **attributes)
        self.examples = examples

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the command line.

        :raises click.ClickException: if it is wrong.
        """
        try:
            return super().parse_args(ctx, args)
        except click.BadOptionUsage as error:
            # It does not know the command.
            expected = self._expected_value(error.option_name, ctx)
            raise InvalidUsage(f"{error.option_name}: {expected}") from None

    def _expected_value(self, name: str, ctx: click.Context) -> str:
        """Return what is expected of an option that lacks its value, or has one too many."""
        [option] = [each for each in self.params if name in each.opts]
        if isinstance(option, click.Option) and option.is_flag:
            return "expected no value"
        return f"got nothing; expected {option.make_metavar(ctx)}"

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples, each on its line."""
        with formatter.section("Examples"):
            for line in self.examples.splitlines():
                formatter.write(f"{'':{formatter.current_indent}}{line}\n")
