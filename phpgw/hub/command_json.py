"""The JSON of commands: what is in it, and how a value was written.

An object becomes a tuple of its fields. That tells it from a list, keeps what it has twice, and
takes no longer than making a dict of it.
"""

import codecs
import json
import re
from collections.abc import Generator, Iterator
from typing import NamedTuple

from phpgw.hub.commands import InvalidCommand


def _refuse(name: str) -> None:
    raise InvalidCommand(f"it is not JSON: {name} is no value there")


# It takes NaN and Infinity otherwise, which browsers do not.
_decoder = json.JSONDecoder(object_pairs_hook=tuple, parse_constant=_refuse)
_BLANK = re.compile(r"[ \t\n\r]*")
# As PHP writes the keys of an array that is a list, or was one.
_KEY = re.compile(r"0|[1-9][0-9]{0,18}")
_KINDS = {
    str: "a text",
    int: "a number",
    float: "a number",
    list: "a list",
    tuple: "an object",
    type(None): "null",
}


class Place(NamedTuple):
    """Find a value in a text that is known to be JSON.

    :ivar text: all of it.
    :ivar start: where the value begins.
    :ivar end: where it ends, or later.
    """

    text: str
    start: int
    end: int

    def written(self, name: str) -> str:
        """Return how the value of an object's field was written; the object has that field."""
        for each, _, start, end in _parts(self.text, self.start):
            if each == name:
                return self.text[start:end]
        raise KeyError(name)


def read_text(text: bytes) -> str:
    """Decode a text.

    :raises InvalidCommand: if it is not UTF-8.
    """
    if text.startswith(codecs.BOM_UTF8):
        raise InvalidCommand("it begins with a byte order mark (U+FEFF), which has to go")
    try:
        return text.decode()
    except UnicodeDecodeError as error:
        raise InvalidCommand(f"it is not UTF-8 from byte {error.start} on") from None


def decode(text: str, expected: str) -> object:
    """Read JSON.

    :param expected: what it should be, for a text that is empty.
    :raises InvalidCommand: if it is none.
    """
    try:
        return _decoder.decode(text)
    except json.JSONDecodeError as error:
        if not text.strip():
            raise InvalidCommand(f"it is empty; expected {expected} in JSON") from None
        place = f"line {error.lineno}, column {error.colno}"
        raise InvalidCommand(f"it is not JSON: {error.msg} ({place})") from None
    except RecursionError:
        raise InvalidCommand("it is nested too deeply") from None
    except ValueError:
        # See sys.set_int_max_str_digits.
        raise InvalidCommand("it has a number with too many digits") from None


def place(text: str) -> Place:
    """Return the place of a text's only value."""
    return Place(text, _skip(text, 0), len(text))


def entries(text: str) -> Iterator[tuple[object, Place]]:
    """Read a list entry by entry, each with its place.

    :raises ValueError: or an IndexError, or a RecursionError, where it turns out not to be one.
    """
    start = _skip(text, 0)
    parts = _parts(text, start)
    names: set[str] = set()
    end = start
    while True:
        try:
            name, value, begin, end = next(parts)
        except StopIteration as stop:
            end = stop.value
            break
        if name is not None:
            if name in names or not _KEY.fullmatch(name):
                raise ValueError(name)
            names.add(name)
        yield value, Place(text, begin, end)
    if _skip(text, end) < len(text) or (text[start] == "{" and not names):
        raise ValueError(end)


def as_list(value: object) -> list[object] | None:
    """Return the entries of a list, or of what ``json_encode()`` makes of one with gaps.

    PHP's ``array_filter()`` leaves an array with the keys of what it keeps, which becomes an object
    then. ``None`` if the value is neither.
    """
    if type(value) is list:
        return value
    if type(value) is not tuple or not value:
        return None
    names = [name for name, _ in value]
    if len(set(names)) < len(names) or not all(map(_KEY.fullmatch, names)):
        return None
    return [each for _, each in value]


def first_duplicate(names: Iterator[str]) -> str | None:
    """Return the first name that has been there before."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            return name
        seen.add(name)
    return None


def kind_of(value: object) -> str:
    """Name a value's kind, for an error."""
    return str(value).lower() if type(value) is bool else _KINDS[type(value)]


def shown(text: str) -> str:
    """Return text from outside as an error may repeat it."""
    return repr(text[:50])[1:-1]


# A value in a list or an object: its name in the latter, and where it begins and ends.
_Part = tuple[str | None, object, int, int]


def _parts(text: str, start: int) -> Generator[_Part, None, int]:
    """Read the values of a list or an object one by one.

    :returns: where it ends.
    """
    if text[start] not in "[{":
        raise ValueError(start)
    is_object = text[start] == "{"
    closing = "}" if is_object else "]"
    position = _skip(text, start + 1)
    is_over = text[position] == closing
    while not is_over:
        name = None
        if is_object:
            name, position = _decoder.raw_decode(text, position)
            position = _skip(text, position)
            if type(name) is not str or text[position] != ":":
                raise ValueError(position)
            position = _skip(text, position + 1)
        value, end = _decoder.raw_decode(text, position)
        yield name, value, position, end
        position = _skip(text, end)
        is_over = text[position] == closing
        if not is_over:
            if text[position] != ",":
                raise ValueError(position)
            position = _skip(text, position + 1)
    return position + 1


def _skip(text: str, position: int) -> int:
    match = _BLANK.match(text, position)
    assert match is not None
    return match.end()
