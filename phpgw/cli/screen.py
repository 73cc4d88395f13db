"""The screen of a command: on a terminal frames in place, and keys; else line by line."""

import os
import select
import shutil
import sys
import termios
import time
import tty
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

import attrs
import click

from phpgw.cli.output import cut, write

_START = "\x1b[?1049h\x1b[?25l"  # another screen, no cursor
_END = "\x1b[?25h\x1b[?1049l"
_HOME = "\x1b[H"
_CLEAR_LINE = "\x1b[K"
_CLEAR_BELOW = "\x1b[J"


class Screen(Protocol):
    """A place that shows frames, and has keys."""

    @property
    def size(self) -> tuple[int, int]:
        """Return the columns and lines that there are."""
        ...

    def draw(self, lines: Sequence[str]) -> None:
        """Show a frame of safe texts."""
        ...

    def wait(self, seconds: float) -> str:
        """Wait for a key.

        :returns: the key; an empty text if none was pressed in this time.
        """
        ...


class PlainScreen:
    """The standard output, if it is no terminal. There are no keys.

    :param sleep: waits for so many seconds.
    """

    size = (1000, 24)

    def __init__(self, sleep: Callable[[float], None] = time.sleep) -> None:
        self._sleep = sleep

    def draw(self, lines: Sequence[str]) -> None:
        """Print the frame, and an empty line."""
        for line in (*lines, ""):
            write(line)

    def wait(self, seconds: float) -> str:
        """Wait for so long."""
        self._sleep(seconds)
        return ""


@attrs.frozen
class TerminalScreen:
    """A terminal. It has to be opened (:func:`open_screen`).

    :ivar keys: the descriptor of the keyboard; ``None`` if the standard input is something else.
    """

    keys: int | None

    @property
    def size(self) -> tuple[int, int]:
        """Return the columns and lines of the terminal."""
        return shutil.get_terminal_size()

    def draw(self, lines: Sequence[str]) -> None:
        """Show the frame in place of the one before, as much of it as fits."""
        width, height = self.size
        shown = [f"{cut(line, width)}{_CLEAR_LINE}" for line in lines[:height]]
        # No line feed behind the last line, which would scroll.
        click.echo(_HOME + "\r\n".join(shown) + _CLEAR_BELOW, nl=False)

    def wait(self, seconds: float) -> str:
        """Wait for a key."""
        if self.keys is None:
            time.sleep(seconds)
            return ""
        if not select.select([self.keys], [], [], seconds)[0]:
            return ""
        # Nothing means that the terminal is gone.
        return os.read(self.keys, 1).decode(errors="replace") or "q"


@contextmanager
def open_screen() -> Iterator[Screen]:
    """Prepare the terminal, if the standard output is one, and restore it in the end."""
    if not sys.stdout.isatty():
        yield PlainScreen()
        return
    keys = sys.stdin.fileno() if sys.stdin.isatty() else None
    mode = None if keys is None else termios.tcgetattr(keys)
    try:
        if keys is not None:
            tty.setcbreak(keys)
        click.echo(_START, nl=False)
        yield TerminalScreen(keys)
    finally:
        click.echo(_END, nl=False)
        if keys is not None and mode is not None:
            termios.tcsetattr(keys, termios.TCSADRAIN, mode)
