"""Reads a configuration of Nginx, as ``nginx -T`` prints it: blocks of directives in blocks."""

import re
from collections.abc import Iterator, Sequence

import attrs

# A comment; a text in quotes; a word, with braces only in the name of a variable; punctuation.
_TOKEN = re.compile(
    r"""\#[^\n]*
    | (?P<word>
        "(?:[^"\\]|\\.)*"
        | '(?:[^'\\]|\\.)*'
        | (?:\$\{\w*\}|[^\s{};"'\#]) (?:\$\{\w*\}|[^\s{};])*
      )
    | (?P<mark>[{};])""",
    re.VERBOSE | re.DOTALL,
)
_TIME = re.compile(r"(?=[0-9])(?:[0-9]{1,9}(?:ms|[smhdwMy]))*(?:[0-9]{1,9})?")
_PART = re.compile(r"([0-9]+)(ms|[smhdwMy])?")
_UNITS = {
    **{"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0},
    **{"w": 7 * 86400.0, "M": 30 * 86400.0, "y": 365 * 86400.0},
}


@attrs.frozen(eq=False)
class Block:
    """A block.

    :ivar words: what is before its brace, such as ``location``, ``=`` and ``/ws``.
    :ivar parent: the block around it, in the same file; ``None`` for a file.
    :ivar directives: the words of each directive in it.
    """

    words: tuple[str, ...]
    parent: "Block | None"
    directives: list[tuple[str, ...]] = attrs.field(factory=list)

    def values(self, name: str) -> Iterator[tuple[str, ...]]:
        """Yield the values of each directive of this name."""
        return (words[1:] for words in self.directives if words[0] == name)

    def inherited(self, name: str) -> str | None:
        """Return the value of a directive, also from the blocks around; ``None`` if none has it."""
        block: Block | None = self
        while block is not None:
            for values in block.values(name):
                return values[0] if values else None
            block = block.parent
        return None


def parse_blocks(text: str) -> list[Block]:
    """Return all blocks, the files themselves first. What is wrong in a text does not matter."""
    root = block = Block((), None)
    blocks = [root]
    words: list[str] = []
    for match in _TOKEN.finditer(text):
        mark = match["mark"]
        if match["word"] is not None:
            words.append(match["word"].strip("\"'"))
        elif mark == "{":
            block = Block(tuple(words), block)
            blocks.append(block)
        elif mark == "}":
            block = block.parent or root
        elif mark == ";" and words:
            block.directives.append(tuple(words))
        if mark is not None:
            words = []
    return blocks


def parse_time(text: str) -> float | None:
    """Return the seconds in a time, such as ``1m30s``; ``None`` if it is none."""
    if not _TIME.fullmatch(text):
        return None
    return sum(int(number) * _UNITS[unit] for number, unit in _PART.findall(text))


def upstreams_at(blocks: Sequence[Block], addresses: Sequence[str]) -> set[str]:
    """Return the names of the ``upstream`` blocks that have a server at one of the addresses."""
    return {
        block.words[1]
        for block in blocks
        if block.words[:1] == ("upstream",) and len(block.words) > 1
        for values in block.values("server")
        if values and values[0] in addresses
    }
