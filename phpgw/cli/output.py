"""The output of commands: JSON for programs, lines and tables for people."""

import json
import sys
from collections.abc import Mapping, Sequence
from unicodedata import combining, east_asian_width

import click

from phpgw.cli.errors import CommandFailed
from phpgw.cli.parsed_value import ParsedValue
from phpgw.escape import printable
from phpgw.settings import parsers

_GAP = "  "
_NOTHING = "-"
_LARGEST_CELL = 60


def json_option() -> click.Option:
    """Return an option ``--json``. The command's parameter is ``as_json``."""
    return click.Option(["--json", "as_json"], is_flag=True, help="Print JSON, for programs.")


def count_option(description: str) -> click.Option:
    """Return an option ``--count``, after which a command stops that goes on by itself."""
    return click.Option(
        ["--count"], metavar="COUNT", type=ParsedValue(parsers.count), help=description
    )


def print_json(value: object) -> None:
    """Print a value as JSON in ASCII, on one line."""
    write(json.dumps(value))


def print_fields(fields: Mapping[str, str]) -> None:
    """Print names and texts, one pair a line. Foreign texts are made safe."""
    width = max(map(len, fields))
    for name, text in fields.items():
        write(f"{name:<{width}}{_GAP}{printable(text)}")


def print_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table: with lines and colours on a terminal, if rich is installed; else columns.

    Columns have all of each text, for ``grep`` and ``awk``. Foreign texts are made safe.
    """
    safe = [[printable(cell) or _NOTHING for cell in row] for row in rows]
    if not (sys.stdout.isatty() and _print_with_rich(headings, safe)):
        for line in columns([headings, *safe]):
            write(line)


def columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return rows of safe texts as lines, in columns."""
    widths = [max(map(text_width, column)) for column in zip(*rows, strict=True)]
    return [
        _GAP.join(
            cell + " " * (width - text_width(cell)) for cell, width in zip(row, widths, strict=True)
        ).rstrip()
        for row in rows
    ]


def text_width(text: str) -> int:
    """Return how many columns of a terminal a text takes (Unicode Standard Annex 11)."""
    if text.isascii():
        return len(text)
    return sum(
        0 if combining(each) else 2 if east_asian_width(each) in "WF" else 1 for each in text
    )


def cut(text: str, width: int) -> str:
    """Return as much of a safe text as fits into so many columns."""
    if len(text) * 2 <= width:
        return text
    taken = 0
    for place, character in enumerate(text):
        taken += text_width(character)
        if taken > width:
            return text[:place]
    return text


def counted(number: int, noun: str) -> str:
    """Return a number of things, as in ``1 client`` and ``2 clients``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def note(text: str) -> None:
    """Print a line for people beside the output proper, on the standard error."""
    click.echo(printable(text), err=True)


def write(line: str) -> None:
    """Print a line.

    :raises CommandFailed: if it cannot be written, as on a full disk.
    """
    try:
        click.echo(line)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise CommandFailed(f"cannot write the output ({error.strerror})") from None


def _print_with_rich(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> bool:
    """Print a table if rich is installed.

    :returns: whether it was printed.
    """
    try:
        from rich.box import SIMPLE_HEAD
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text
    except ImportError:
        return False
    table = Table(box=SIMPLE_HEAD, header_style="bold", pad_edge=False)
    for heading in headings:
        table.add_column(heading, overflow="ellipsis", no_wrap=True, max_width=_LARGEST_CELL)
    for row in rows:
        # As a Text, since rich reads markup in other texts.
        table.add_row(*map(Text, row))
    Console().print(table)
    return True
