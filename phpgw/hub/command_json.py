"""JSON for commands: decoded values, and the source text of a value.

An object is decoded to a tuple of its fields. That distinguishes it from a list, keeps duplicate
names, and takes no longer than a dict.
"""

import codecs
import json
import re
from collections.abc import Generator, Iterator
from typing import NamedTuple

from phpgw.hub.commands import InvalidCommand


def _refuse(name: str) -> None:
    raise InvalidCommand(f"it is not JSON: {name} is no value there")


# Python would accept NaN and Infinity, which are not JSON.
_decoder = json.JSONDecoder(object_pairs_hook=tuple, parse_constant=_refuse)
_BLANK = re.compile(r"[ \t\n\r]*")
# The keys of an array in PHP that is a list, or was one.
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
    """The place of a value in a text that is known to be JSON.

    :ivar text: the whole text.
    :ivar start: where the value begins.
    :ivar end: where it ends, or later.
    """

    text: str
    start: int
    end: int

    def written(self, name: str) -> str:
        """Return the source text of a field of the object here; it has that field."""
        for each, _, start, end in _parts(self.text, self.start):
            if each == name:
                return self.text[start:end]
        raise KeyError(name)


def read_text(text: bytes) -> str:
    """Decode UTF-8.

    :raises InvalidCommand: if it is not UTF-8.
    """
    if text.startswith(codecs.BOM_UTF8):
        raise InvalidCommand("it begins with a byte order mark (U+FEFF), which has to go")
    try:
        return text.decode()
    except UnicodeDecodeError as error:
        raise InvalidCommand(f"it is not UTF-8 from byte {error.start} on") from None


def decode(text: str, expected: str) -> object:
    """Decode JSON.

    :param expected: what the text should be, for the error about an empty one.
    :raises InvalidCommand: if it is not JSON.
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
        # More digits than sys.get_int_max_str_digits() allows.
        raise InvalidCommand("it has a number with too many digits") from None


def place(text: str) -> Place:
    """Return the place of the value that a text consists of."""
    return Place(text, _skip_blanks(text, 0), len(text))


def entries(text: str) -> Iterator[tuple[object, Place]]:
    """Yield the entries of a list, each with its place.

    :raises ValueError: or an IndexError, or a RecursionError, if the text is not a list.
    """
    start = _skip_blanks(text, 0)
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
    if _skip_blanks(text, end) < len(text) or (text[start] == "{" and not names):
        raise ValueError(end)


def as_list(value: object) -> list[object] | None:
    """Return the entries of a list, or of an object that was a list in PHP.

    PHP's ``array_filter()`` keeps the keys of the entries that it keeps. ``json_encode()`` makes an
    object of such a list with gaps. ``None`` if the value is neither.
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
    """Return the first name that is there a second time."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            return name
        seen.add(name)
    return None


def kind_of(value: object) -> str:
    """Return the name of a value's type, for an error."""
    return str(value).lower() if type(value) is bool else _KINDS[type(value)]


def shown(text: str) -> str:
    """Return text from PHP, shortened and escaped, for an error."""
    return repr(text[:50])[1:-1]


# A value in a list or an object: its name in an object, the value, where it begins and ends.
_Part = tuple[str | None, object, int, int]


def _parts(text: str, start: int) -> Generator[_Part, None, int]:
    """Yield the values of a list or an object.

    :returns: where the list or object ends.
    """
    if text[start] not in "[{":
        raise ValueError(start)
    is_object = text[start] == "{"
    closing = "}" if is_object else "]"
    position = _skip_blanks(text, start + 1)
    is_at_end = text[position] == closing
    while not is_at_end:
        name = None
        if is_object:
            name, position = _decoder.raw_decode(text, position)
            position = _skip_blanks(text, position)
            if type(name) is not str or text[position] != ":":
                raise ValueError(position)
            position = _skip_blanks(text, position + 1)
        value, end = _decoder.raw_decode(text, position)
        yield name, value, position, end
        position = _skip_blanks(text, end)
        is_at_end = text[position] == closing
        if not is_at_end:
            if text[position] != ",":
                raise ValueError(position)
            position = _skip_blanks(text, position + 1)
    return position + 1


def _skip_blanks(text: str, position: int) -> int:
    match = _BLANK.match(text, position)
    assert match is not None
    return match.end()
