"""The commands that PHP can give: what there is, and what makes a valid one.

One vocabulary for a reply's body and for ``POST /commands``. A list is valid as a whole or not at
all; what a valid one does is :mod:`phpgw.dispatch`'s.
"""

import binascii
import codecs
import json
import re
from collections.abc import Callable
from functools import lru_cache

import attrs

# How many a list may have.
MOST_COMMANDS = 10_000
# In bytes of UTF-8.
LONGEST_NAME = 1024
LONGEST_STATE = 2048
# A close frame has room for 125, and two of them are its code (RFC 6455, section 5.5.1).
LONGEST_REASON = 123


class InvalidCommand(Exception):
    """Text that is no command, or no list of them.

    :ivar index: which command of the list, from 0; ``None`` if it is about the text as a whole.
    :ivar field: the field that is wrong, as ``to.group``; ``None`` if it is no single one.
    """

    def __init__(self, problem: str, index: int | None = None, field: str | None = None) -> None:
        where = "" if index is None else f"command {index}: "
        which = "" if field is None else f"{field}: "
        super().__init__(f"{where}{which}{problem}")
        self.problem = problem
        self.index = index
        self.field = field


@attrs.frozen
class Target:
    """Whom a command is for.

    :ivar kind: ``sender`` (whose event is being answered), ``client``, ``group``, ``user`` or
        ``all``.
    :ivar names: which clients, groups or users; none for the other kinds.
    :ivar excluded: ids of clients that are left out.
    """

    kind: str
    names: tuple[str, ...] = ()
    excluded: frozenset[str] = frozenset()


# Not frozen: most commands are of this kind, and freezing one takes longer than making it.
@attrs.define
class Send:
    """Send a message."""

    to: Target
    message: bytes
    is_binary: bool = False


@attrs.frozen
class Join:
    """Put clients into a group."""

    to: Target
    group: str


@attrs.frozen
class Leave:
    """Take clients out of a group."""

    to: Target
    group: str


@attrs.frozen
class Bind:
    """Make clients a user's."""

    to: Target
    user: str


@attrs.frozen
class Unbind:
    """Make clients nobody's."""

    to: Target


@attrs.frozen
class SetState:
    """Have clients' events bear a text that means something to PHP."""

    to: Target
    state: str


@attrs.frozen
class Close:
    """Close connections."""

    to: Target
    code: int = 1000
    reason: str = ""


Command = Send | Join | Leave | Bind | Unbind | SetState | Close


def parse_commands(text: bytes, has_sender: bool) -> list[Command]:
    """Read a JSON list of commands.

    :param has_sender: whether a command without ``to`` is for whose event is being answered.
    :raises InvalidCommand: if any of it is wrong.
    """
    values = _json(text, "a list of commands")
    if not isinstance(values, list):
        hint = "; put it in [ ]" if isinstance(values, tuple) else ""
        raise InvalidCommand(f"expected a list of commands, got {_kind(values)}{hint}")
    if len(values) > MOST_COMMANDS:
        raise InvalidCommand(f"expected {MOST_COMMANDS} commands at most, got {len(values)}")
    commands: list[Command] = []
    try:
        for value in values:
            commands.append(_command(value, has_sender))
    except InvalidCommand as error:
        raise InvalidCommand(error.problem, len(commands), error.field) from None
    return commands


def parse_command(text: bytes, has_sender: bool) -> Command:
    """Read one command, a JSON object.

    :raises InvalidCommand: if it is none.
    """
    return _command(_json(text, "a command"), has_sender)


def checked_code(code: object) -> int:
    """What a close frame may have for its code (RFC 6455, section 7.4).

    :raises InvalidCommand: if it may not.
    """
    # Not isinstance: true is an int, too. JSON's 1000.0 is a whole number.
    if type(code) is int or (type(code) is float and code.is_integer()):
        number = int(code)
        if 1000 <= number <= 1003 or 1007 <= number <= 1014 or 3000 <= number <= 4999:
            return number
    raise InvalidCommand("expected one of 1000-1003, 1007-1014, 3000-4999", field="code")


def checked_reason(reason: object) -> str:
    """What a close frame may have for its reason; it may be empty.

    :raises InvalidCommand: if it may not.
    """
    text = _text(reason, "reason", LONGEST_REASON)
    _refuse_control_characters(text, "reason")
    return text


# What follows does not know which command of a list it is about; parse_commands adds that.

_Fields = dict[str, object]

# An object becomes a tuple of its fields. That tells it from a list, keeps what it has twice, and
# takes no longer than making a dict of it.
_decode = json.JSONDecoder(object_pairs_hook=tuple).decode


def _json(text: bytes, expected: str) -> object:
    if text.startswith(codecs.BOM_UTF8):
        raise InvalidCommand("it begins with a byte order mark (U+FEFF), which has to go")
    try:
        return _decode(text.decode())
    except UnicodeDecodeError as error:
        raise InvalidCommand(f"it is not UTF-8 from byte {error.start} on") from None
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


def _command(value: object, has_sender: bool) -> Command:
    if type(value) is not tuple:
        raise InvalidCommand(f"expected an object, got {_kind(value)}")
    if len(value) == 3:
        # What most of them are like is read in half the time, by the same rules.
        (first, op), (second, to), (third, message) = value
        if first == "op" and op == "send" and second == "to" and third == "message":
            return Send(_addressed(to), _utf8(message, "message"))
    fields: _Fields = dict(value)
    if len(fields) != len(value):
        names = [name for name, _ in value]
        twice = next(name for name in names if names.count(name) > 1)
        raise InvalidCommand("it is there twice", field=_shown(twice))
    op = _required(fields, "op")
    if type(op) is not str or op not in _OPS:
        given = _shown(op) if type(op) is str else _kind(op)
        raise InvalidCommand(f"expected one of {', '.join(_OPS)}; got {given}", field="op")
    known, read = _OPS[op]
    if not fields.keys() <= known.keys():
        unknown = next(name for name in fields if name not in known)
        problem = f"{op} has no such field; it has {', '.join(known)}"
        raise InvalidCommand(problem, field=_shown(unknown))
    return read(_target(fields, has_sender), fields)


_SENDER = Target("sender")
_ONE_OF = "expected exactly one of client, clients, group, groups, user, users, all"
# With the names that errors have for them.
_SINGULARS = {"client": "to.client", "group": "to.group", "user": "to.user"}
_PLURALS = {"clients": "client", "groups": "group", "users": "user"}


def _target(fields: _Fields, has_sender: bool) -> Target:
    to = _SENDER
    if "to" in fields or not has_sender:
        to = _addressed(_required(fields, "to"))
    if "except" in fields:
        return Target(to.kind, to.names, frozenset(_names(fields["except"], "except")))
    return to


def _addressed(to: object) -> Target:
    if type(to) is not tuple:
        raise InvalidCommand(f"expected an object, not {_kind(to)}; {_ONE_OF}", field="to")
    if len(to) != 1:
        raise InvalidCommand(_ONE_OF, field="to")
    ((key, value),) = to
    if key in _SINGULARS:
        return _single(key, _string(value, _SINGULARS[key]))
    if key in _PLURALS:
        return Target(_PLURALS[key], _names(value, f"to.{key}"))
    if key != "all":
        raise InvalidCommand(f"there is no such field; {_ONE_OF}", field=f"to.{_shown(key)}")
    if value is not True:
        raise InvalidCommand(f"expected true, got {_kind(value)}", field="to.all")
    return Target("all")


# Who pushes, pushes to the same ones again and again.
@lru_cache(maxsize=8192)
def _single(key: str, name: str) -> Target:
    return Target(key, (_name(name, _SINGULARS[key]),))


def _send(to: Target, fields: _Fields) -> Command:
    if "message" in fields and "data" in fields:
        raise InvalidCommand("expected either this or message", field="data")
    if "data" in fields:
        return Send(to, _base64(fields["data"], "data"), True)
    return Send(to, _utf8(_required(fields, "message"), "message"))


def _join(to: Target, fields: _Fields) -> Command:
    return Join(to, _name(_required(fields, "group"), "group"))


def _leave(to: Target, fields: _Fields) -> Command:
    return Leave(to, _name(_required(fields, "group"), "group"))


def _bind(to: Target, fields: _Fields) -> Command:
    return Bind(to, _name(_required(fields, "user"), "user"))


def _unbind(to: Target, fields: _Fields) -> Command:
    return Unbind(to)


def _set_state(to: Target, fields: _Fields) -> Command:
    return SetState(to, _text(_required(fields, "state"), "state", LONGEST_STATE))


def _close(to: Target, fields: _Fields) -> Command:
    return Close(
        to, checked_code(fields.get("code", 1000)), checked_reason(fields.get("reason", ""))
    )


# Each with the fields that it may have.
_OPS: dict[str, tuple[dict[str, None], Callable[[Target, _Fields], Command]]] = {
    op: (dict.fromkeys(("op", "to", "except", *names)), read)
    for op, read, *names in (
        ("send", _send, "message", "data"),
        ("join", _join, "group"),
        ("leave", _leave, "group"),
        ("bind", _bind, "user"),
        ("unbind", _unbind),
        ("state", _set_state, "state"),
        ("close", _close, "code", "reason"),
    )
}
# The names of all commands.
OPS = frozenset(_OPS)


def _required(fields: _Fields, name: str) -> object:
    if name not in fields:
        raise InvalidCommand("it is missing", field=name)
    return fields[name]


def _name(value: object, field: str) -> str:
    text = _text(value, field, LONGEST_NAME)
    if not text:
        raise InvalidCommand("it is empty", field=field)
    _refuse_control_characters(text, field)
    return text


def _names(values: object, field: str) -> tuple[str, ...]:
    if type(values) is not list:
        hint = " (PHP's array_values() makes a list)" if type(values) is tuple else ""
        raise InvalidCommand(f"expected a list, got {_kind(values)}{hint}", field=field)
    return tuple(_name(value, f"{field}[{n}]") for n, value in enumerate(values))


def _text(value: object, field: str, longest: int) -> str:
    text = _string(value, field)
    size = len(_utf8(text, field))
    if size > longest:
        raise InvalidCommand(f"expected {longest} bytes of UTF-8 at most, got {size}", field=field)
    return text


def _string(value: object, field: str) -> str:
    if type(value) is str:
        return value
    raise InvalidCommand(f"expected a text, got {_kind(value)}", field=field)


def _utf8(value: object, field: str) -> bytes:
    try:
        return _string(value, field).encode()
    except UnicodeEncodeError as error:
        problem = f"character {error.start} is half of a surrogate pair, which UTF-8 does not have"
        raise InvalidCommand(problem, field=field) from None


def _base64(value: object, field: str) -> bytes:
    try:
        return binascii.a2b_base64(_utf8(value, field), strict_mode=True)
    except binascii.Error as error:
        raise InvalidCommand(f"expected base64 ({error})", field=field) from None


def _refuse_control_characters(text: str, field: str) -> None:
    found = _CONTROL_CHARACTER.search(text)
    if found:
        raise InvalidCommand(f"it has a control character, {found[0]!a}", field=field)


_CONTROL_CHARACTER = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_KINDS = {
    str: "a text",
    int: "a number",
    float: "a number",
    list: "a list",
    tuple: "an object",
    type(None): "null",
}


def _kind(value: object) -> str:
    return str(value).lower() if type(value) is bool else _KINDS[type(value)]


def _shown(text: str) -> str:
    """Text from outside as an error may repeat it."""
    return repr(text[:50])[1:-1]
