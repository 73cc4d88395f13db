"""What the fields of a command may have.

What PHP sends by habit is taken where it has one meaning: a number for a name, an array with gaps
for a list, an array for a message. An error says what PHP should do about it.
"""

import binascii
import re
from collections.abc import Generator
from typing import NamedTuple

from phpgw.hub.command_json import Place, as_list, kind_of
from phpgw.hub.commands import InvalidCommand

# In bytes of UTF-8.
MAX_NAME_BYTES = 1024
MAX_STATE_BYTES = 2048
# A close frame has room for 125, and two of them are its code (RFC 6455, section 5.5.1).
MAX_REASON_BYTES = 123
# Up to here, a float can be any whole number.
_LARGEST_FLOAT = 2**53
_CONTROL_CHARACTER = re.compile(r"[\x00-\x1f\x7f-\x9f]")
# What none of many names may have; half of a surrogate pair is no UTF-8.
_NO_NAME = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_MOST_BYTES_OF_A_CHARACTER = 4
# How many names are read in a step.
_PIECE = 500


class Names(NamedTuple):
    """Names of those that may be there, read already.

    :ivar names: those that something can have.
    :ivar problem: what is wrong with the first that nothing can.
    """

    names: tuple[str, ...]
    problem: str | None


class PlaceNeeded(Exception):
    """A value is wanted as it was written, and it is not known where that is."""


def name(value: object, field: str) -> str:
    """Read a name that is given to something.

    :raises InvalidCommand: if nothing can have it.
    """
    text = _name_text(value, field)
    fault = _fault(text)
    if fault is not None:
        raise InvalidCommand(fault, field=field)
    return text


def target_name(value: object, field: str) -> tuple[str | None, str | None]:
    """Read the name of somebody or something that may be there.

    :returns: that, and what is wrong with it if nothing can have it.
    :raises InvalidCommand: if it is nothing like a name.
    """
    if value is None or value is False:
        return None, f"{field}: {kind_of(value)} is nobody's name"
    text = _name_text(value, field)
    fault = _fault(text)
    return (text, None) if fault is None else (None, f"{field}: {fault}")


def target_names(value: object, field: str) -> Names:
    """Read names of those that may be there.

    :raises InvalidCommand: if it is nothing like a list of names.
    """
    if type(value) is Names:
        return value
    steps = read_names(value, field)
    try:
        while True:
            next(steps)
    except StopIteration as end:
        names: Names = end.value
        return names


def read_names(value: object, field: str) -> Generator[None, None, Names]:
    """Do the same as :func:`target_names`, a piece of a long list at a time."""
    values = as_list(value)
    if values is None:
        if type(value) is str or type(value) is int:
            # One that is not in a list.
            values = [value]
        else:
            hint = " (PHP's array_values() makes a list)" if type(value) is tuple else ""
            raise InvalidCommand(f"expected a list, got {kind_of(value)}{hint}", field=field)
    names: list[str] = []
    problem = None
    for start in range(0, len(values), _PIECE):
        piece = values[start : start + _PIECE]
        texts = _as_names(piece)
        if texts is not None:
            names += texts
        else:
            for n, each in enumerate(piece, start):
                text, fault = target_name(each, f"{field}[{n}]")
                if text is not None:
                    names.append(text)
                problem = problem or fault
        yield
    return Names(tuple(names), problem)


def free_text(value: object, field: str, place: Place | None) -> bytes:
    """Read a text that may be anything; of a number, a list or an object, take the JSON.

    :param place: where the object is whose field it is.
    :raises InvalidCommand: if it is none.
    :raises PlaceNeeded: if it takes the place, which is not given.
    """
    if type(value) is str:
        try:
            # As nearly always, without a further call.
            return value.encode()
        except UnicodeEncodeError:
            return _utf8(value, field)
    if type(value) is int:
        return b"%d" % value
    if type(value) in (float, list, tuple):
        if place is None:
            raise PlaceNeeded
        # As it was written: PHP's json_encode() has options that make a difference.
        return _utf8(place.written(field), field)
    return _utf8(value, field)


def state(value: object, place: Place | None) -> str:
    """Read a state.

    :raises InvalidCommand: if it is none.
    """
    text = free_text(value, "state", place)
    if len(text) > MAX_STATE_BYTES:
        raise InvalidCommand(_too_long(MAX_STATE_BYTES, len(text)), field="state")
    return text.decode()


def base64(value: object, field: str) -> bytes:
    """Read bytes.

    :raises InvalidCommand: if it is no base64.
    """
    try:
        return binascii.a2b_base64(_utf8(value, field), strict_mode=True)
    except binascii.Error as error:
        raise InvalidCommand(f"expected base64 ({error})", field=field) from None


def close_code(code: object) -> int:
    """Read a code that a close frame may have (RFC 6455, section 7.4).

    :raises InvalidCommand: if it may not.
    """
    if type(code) is str and code.isascii() and code.isdigit() and len(code) == 4:
        code = int(code)
    # Not isinstance: true is an int, too. JSON's 1000.0 is a whole number.
    if type(code) is int or (type(code) is float and code.is_integer()):
        number = int(code)
        if 1000 <= number <= 1003 or 1007 <= number <= 1014 or 3000 <= number <= 4999:
            return number
    raise InvalidCommand("expected one of 1000-1003, 1007-1014, 3000-4999", field="code")


def close_reason(reason: object) -> str:
    """Read a reason, and make it one that a close frame may have: that closes all the same.

    What is too long is cut off, and a control character, such as a line's end, becomes a blank.

    :raises InvalidCommand: if it is no text.
    """
    text = _utf8(str(reason) if type(reason) is int else reason, "reason")
    whole = text[:MAX_REASON_BYTES].decode(errors="ignore")
    return _CONTROL_CHARACTER.sub(" ", whole)


def _name_text(value: object, field: str) -> str:
    if type(value) is str:
        return value
    if type(value) is int:
        return str(value)
    if type(value) is float and value.is_integer() and abs(value) < _LARGEST_FLOAT:
        return str(int(value))
    raise InvalidCommand(f"expected a text, got {kind_of(value)}{_hint(value)}", field=field)


def _hint(value: object) -> str:
    """Say what PHP should do about a value that is no text."""
    if type(value) in (bool, float, type(None)):
        return "; (string) makes a text in PHP"
    return ""


def _fault(text: str) -> str | None:
    """Return why nothing can have this name."""
    if not text:
        return "it is empty"
    try:
        size = len(text.encode())
    except UnicodeEncodeError as error:
        return _no_utf8(error)
    if size > MAX_NAME_BYTES:
        return _too_long(MAX_NAME_BYTES, size)
    found = _CONTROL_CHARACTER.search(text)
    return None if found is None else f"it has a control character, {found[0]!a}"


def _as_names(values: list[object]) -> list[str] | None:
    """Return these as names if all of them are, found without a look at each in turn."""
    if not set(map(type, values)) <= {str, int}:
        return None
    texts = list(map(str, values))
    longest = max(map(len, texts), default=0)
    are_names = (
        "" not in texts
        and longest * _MOST_BYTES_OF_A_CHARACTER <= MAX_NAME_BYTES
        and _NO_NAME.search("".join(texts)) is None
    )
    return texts if are_names else None


def _utf8(value: object, field: str) -> bytes:
    if type(value) is not str:
        raise InvalidCommand(f"expected a text, got {kind_of(value)}{_hint(value)}", field=field)
    try:
        return value.encode()
    except UnicodeEncodeError as error:
        raise InvalidCommand(_no_utf8(error), field=field) from None


def _no_utf8(error: UnicodeEncodeError) -> str:
    return f"character {error.start} is half of a surrogate pair, which UTF-8 does not have"


def _too_long(most: int, size: int) -> str:
    return f"expected {most} bytes of UTF-8 at most, got {size}"
