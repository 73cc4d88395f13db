"""Reads the fields of commands: names, texts, base64, close codes.

Values that PHP often sends are accepted if they have only one meaning: a number as a name, an array
with gaps as a list, an array as a message. An error says how to correct the value in PHP.
"""

import binascii
import re
from collections.abc import Generator
from typing import NamedTuple

from phpgw.history.rules import NO_HISTORY, HistoryRule, parse_rule
from phpgw.hub.command_json import Place, as_list, kind_of, shown
from phpgw.hub.commands import InvalidCommand, TargetKind

# In bytes of UTF-8.
MAX_NAME_BYTES = 1024
MAX_STATE_BYTES = 2048
# A close frame's payload has 125 bytes, two of them for the code (RFC 6455, section 5.5.1).
MAX_REASON_BYTES = 123
# In bytes of UTF-8. A ticket for a chat service has some hundred.
MAX_URL_BYTES = 4096
_MAX_SUBPROTOCOLS = 16
_UPSTREAM_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
# RFC 6901, section 3.
_POINTER = re.compile(r"(?:/(?:[^/~]|~[01])*)+")
_MAX_POINTER = 256
# RFC 9110, section 5.6.2.
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}")
# Below this, a float represents each whole number exactly.
_LARGEST_FLOAT = 2**53
_CONTROL_CHARACTER = re.compile(r"[\x00-\x1f\x7f-\x9f]")
# Characters that a name cannot have; half of a surrogate pair is not UTF-8.
_NOT_IN_NAMES = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_MAX_BYTES_OF_A_CHARACTER = 4
# How many names are read in one step.
_PIECE = 500


class Names(NamedTuple):
    """The names of clients, groups or users in a target.

    :ivar names: the valid names.
    :ivar problem: what is wrong with the first invalid name; ``None`` if all are valid.
    """

    names: tuple[str, ...]
    problem: str | None


class PlaceNeeded(Exception):
    """The source text of a value is needed, and its place is not known."""


def name(value: object, field: str) -> str:
    """Return a name that a command gives to a group or a user.

    :raises InvalidCommand: if it is not a valid name.
    """
    text = _name_text(value, field)
    fault = _fault(text)
    if fault is not None:
        raise InvalidCommand(fault, field=field)
    return text


def target_name(value: object, field: str) -> tuple[str | None, str | None]:
    """Read the name of a client, a group or a user in a target.

    :returns: the name, or ``None``, and what is wrong with it.
    :raises InvalidCommand: if the value has a type that no name has.
    """
    if value is None or value is False:
        return None, f"{field}: {kind_of(value)} is nobody's name"
    text = _name_text(value, field)
    fault = _fault(text)
    return (text, None) if fault is None else (None, f"{field}: {fault}")


def target_names(value: object, field: str) -> Names:
    """Read a list of names in a target.

    :raises InvalidCommand: if it is not a list of names.
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
    """Do the same as :func:`target_names`, a piece of a long list in each step."""
    values = as_list(value)
    if values is None:
        if type(value) is str or type(value) is int:
            # A single name, not in a list.
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
    """Return a text as UTF-8; of a number, a list or an object, return the JSON.

    :param place: the place of the object that has the field.
    :raises InvalidCommand: if it is of another type, or not UTF-8.
    :raises PlaceNeeded: if the place is needed, and not given.
    """
    if type(value) is str:
        try:
            # The usual case, without another call.
            return value.encode()
        except UnicodeEncodeError:
            return _utf8(value, field)
    if type(value) is int:
        return b"%d" % value
    if type(value) in (float, list, tuple):
        if place is None:
            raise PlaceNeeded
        # The source text: options of PHP's json_encode() change how a value is written.
        return _utf8(place.written(field), field)
    return _utf8(value, field)


def state(value: object, place: Place | None) -> str:
    """Return a client's state.

    :raises InvalidCommand: if it is not a text, or too long.
    """
    text = free_text(value, "state", place)
    if len(text) > MAX_STATE_BYTES:
        raise InvalidCommand(_too_long(MAX_STATE_BYTES, len(text)), field="state")
    return text.decode()


def base64(value: object, field: str) -> bytes:
    """Decode base64.

    :raises InvalidCommand: if it is not base64.
    """
    try:
        return binascii.a2b_base64(_utf8(value, field), strict_mode=True)
    except binascii.Error as error:
        raise InvalidCommand(f"expected base64 ({error})", field=field) from None


def history_rule(value: object, kind: TargetKind) -> HistoryRule | None:
    """Return the rule for the history of a message; ``None`` for that of its group.

    :param kind: of the message's target.
    :raises InvalidCommand: if it is none, or the message is not for a group.
    """
    if value is None:
        return None
    if kind != "group":
        raise InvalidCommand("only messages to a group have one", field="history")
    if value is False:
        return NO_HISTORY
    if type(value) is not str:
        raise InvalidCommand(f"expected a text, got {kind_of(value)}", field="history")
    try:
        return parse_rule(value)
    except ValueError as error:
        raise InvalidCommand(f"expected {error}", field="history") from None


def close_code(code: object) -> int:
    """Return a code for a close frame (RFC 6455, section 7.4).

    :raises InvalidCommand: if a close frame cannot have it.
    """
    if type(code) is str and code.isascii() and code.isdigit() and len(code) == 4:
        code = int(code)
    # Not isinstance: True is an int, too. 1000.0 is a whole number in JSON.
    if type(code) is int or (type(code) is float and code.is_integer()):
        number = int(code)
        if 1000 <= number <= 1003 or 1007 <= number <= 1014 or 3000 <= number <= 4999:
            return number
    raise InvalidCommand("expected one of 1000-1003, 1007-1014, 3000-4999", field="code")


def close_reason(reason: object) -> str:
    """Return a reason for a close frame, changed if necessary: the connection is closed anyway.

    A reason that is too long is cut off. A control character, like a line feed, becomes a space.

    :raises InvalidCommand: if it is not a text.
    """
    text = _utf8(str(reason) if type(reason) is int else reason, "reason")
    whole = text[:MAX_REASON_BYTES].decode(errors="ignore")
    return _CONTROL_CHARACTER.sub(" ", whole)


def upstream_name(value: object, field: str) -> str:
    """Return the name of an upstream that is to be opened.

    :raises InvalidCommand: if it is not a valid name.
    """
    text = _name_text(value, field)
    if not _UPSTREAM_NAME.fullmatch(text):
        raise InvalidCommand("expected up to 64 letters, digits and ._-", field=field)
    return text


def url(value: object, field: str) -> str:
    """Return the URL of a server; which ones there can be is checked where it is opened.

    :raises InvalidCommand: if it is not a text, or too long.
    """
    text = _utf8(value, field)
    if len(text) > MAX_URL_BYTES:
        raise InvalidCommand(_too_long(MAX_URL_BYTES, len(text)), field=field)
    return text.decode()


def headers(value: object, field: str) -> tuple[tuple[str, str], ...]:
    """Return the headers of a handshake; which ones there can be is checked where they are sent.

    :raises InvalidCommand: if it is no object with texts.
    """
    if value is None or value == []:
        # An empty array of PHP is a list.
        return ()
    if type(value) is not tuple:
        raise InvalidCommand(f"expected an object, got {kind_of(value)}", field=field)
    return tuple((name, _utf8(text, f"{field}.{shown(name)}").decode()) for name, text in value)


def subprotocols(value: object, field: str) -> tuple[str, ...]:
    """Return the names of subprotocols.

    :raises InvalidCommand: if it is no list of names (RFC 6455, section 4.1), each once.
    """
    if value is None:
        return ()
    values = as_list(value)
    if values is None:
        raise InvalidCommand(f"expected a list, got {kind_of(value)}", field=field)
    names: list[str] = []
    for n, each in enumerate(values[: _MAX_SUBPROTOCOLS + 1]):
        if type(each) is not str or not _TOKEN.fullmatch(each) or each in names:
            problem = "expected a name like mqtt, each once"
            raise InvalidCommand(problem, field=f"{field}[{n}]")
        names.append(each)
    if len(names) > _MAX_SUBPROTOCOLS:
        raise InvalidCommand(f"expected {_MAX_SUBPROTOCOLS} at most", field=field)
    return tuple(names)


def latest_key(keep: object, key: object) -> str | None:
    """Return the JSON pointer (RFC 6901) of the key of messages; ``None`` to keep all of them.

    :raises InvalidCommand: if the two do not belong together, or it is no pointer.
    """
    if keep in (None, "all") and key is None:
        return None
    if keep != "latest":
        raise InvalidCommand("expected all or latest, and latest with a key", field="keep")
    text = _utf8(key, "key").decode()
    if len(text) > _MAX_POINTER or not _POINTER.fullmatch(text):
        raise InvalidCommand("expected a JSON pointer, like /data/symbol", field="key")
    return text


def _name_text(value: object, field: str) -> str:
    if type(value) is str:
        return value
    if type(value) is int:
        return str(value)
    if type(value) is float and value.is_integer() and abs(value) < _LARGEST_FLOAT:
        return str(int(value))
    raise InvalidCommand(f"expected a text, got {kind_of(value)}{_hint(value)}", field=field)


def _hint(value: object) -> str:
    """Return how to make a text of a value in PHP."""
    if type(value) in (bool, float, type(None)):
        return "; (string) makes a text in PHP"
    return ""


def _fault(text: str) -> str | None:
    """Return what is wrong with a name; ``None`` if nothing is."""
    if not text:
        return "it is empty"
    try:
        size = len(text.encode())
    except UnicodeEncodeError as error:
        return _not_utf8(error)
    if size > MAX_NAME_BYTES:
        return _too_long(MAX_NAME_BYTES, size)
    found = _CONTROL_CHARACTER.search(text)
    return None if found is None else f"it has a control character, {found[0]!a}"


def _as_names(values: list[object]) -> list[str] | None:
    """Return the values as names if all are valid; much faster than one by one."""
    if not set(map(type, values)) <= {str, int}:
        return None
    texts = list(map(str, values))
    longest = max(map(len, texts), default=0)
    are_names = (
        "" not in texts
        and longest * _MAX_BYTES_OF_A_CHARACTER <= MAX_NAME_BYTES
        and _NOT_IN_NAMES.search("".join(texts)) is None
    )
    return texts if are_names else None


def _utf8(value: object, field: str) -> bytes:
    if type(value) is not str:
        raise InvalidCommand(f"expected a text, got {kind_of(value)}{_hint(value)}", field=field)
    try:
        return value.encode()
    except UnicodeEncodeError as error:
        raise InvalidCommand(_not_utf8(error), field=field) from None


def _not_utf8(error: UnicodeEncodeError) -> str:
    return f"character {error.start} is half of a surrogate pair, which UTF-8 does not have"


def _too_long(maximum: int, size: int) -> str:
    return f"expected {maximum} bytes of UTF-8 at most, got {size}"
