"""Reads commands from JSON, for replies and for ``POST /commands`` alike.

A list is valid as a whole or not at all. :mod:`phpgw.hub.dispatch` carries valid commands out.
"""

from collections.abc import Callable, Generator
from functools import lru_cache
from typing import Any, NamedTuple, TypeVar

from phpgw.hub import command_fields as fields_of
from phpgw.hub.command_fields import PlaceNeeded
from phpgw.hub.command_json import (
    Place,
    as_list,
    decode,
    entries,
    first_duplicate,
    kind_of,
    place,
    read_text,
    shown,
)
from phpgw.hub.commands import (
    Bind,
    Close,
    Command,
    InvalidCommand,
    Join,
    Leave,
    Open,
    Send,
    SetState,
    Target,
    TargetKind,
    Unbind,
)

C = TypeVar("C", bound=Command)

# How many commands a list may have.
MAX_COMMANDS = 10_000
# A text with more bytes takes more than 2 ms to read.
LONG_TEXT = 16_384
_LIST = "a list of commands"


def parse_commands(text: bytes, has_sender: bool) -> list[Command]:
    """Read a JSON list of commands.

    :param has_sender: whether there is a client whose event PHP replies to: a command without
        ``to`` is for that one.
    :raises InvalidCommand: if any of it is wrong.
    """
    source = read_text(text)
    values = _values(source)
    commands: list[Command] = []
    try:
        for value in values:
            commands.append(_command(value, has_sender, None))
    except PlaceNeeded:
        commands.clear()
        for value, where in entries(source):
            commands.append(_nth(len(commands), value, has_sender, where))
    except InvalidCommand as error:
        raise _in_list(error, len(commands)) from None
    return commands


def parse_in_steps(text: bytes, has_sender: bool) -> Generator[None, None, list[Command]]:
    """Read a long list as :func:`parse_commands` does, a command in each step.

    :raises InvalidCommand: if any of it is wrong.
    """
    source = read_text(text)
    commands: list[Command] = []
    try:
        for value, where in entries(source):
            if len(commands) == MAX_COMMANDS:
                raise ValueError
            if where.end - where.start > LONG_TEXT:
                value = yield from _with_names(value, len(commands))
            commands.append(_nth(len(commands), value, has_sender, where))
            yield
    except (ValueError, IndexError, RecursionError):
        # The decoder tells what is wrong, but only when it reads the whole.
        _values(source)
        raise
    return commands


def parse_command(text: bytes, has_sender: bool) -> Command:
    """Read one command, a JSON object.

    :raises InvalidCommand: if it is none.
    """
    source = read_text(text)
    return _command(decode(source, "a command"), has_sender, place(source))


# The functions below do not know a command's place in a list; the ones above add it to errors.

_Fields = dict[str, object]


def _values(source: str) -> list[object]:
    value = decode(source, _LIST)
    values = as_list(value)
    if values is None:
        hint = ""
        if type(value) is tuple:
            is_one = any(name == "op" for name, _ in value)
            hint = "; put it in [ ]" if is_one else " (PHP's array_values() makes a list)"
        raise InvalidCommand(f"expected {_LIST}, got {kind_of(value)}{hint}")
    if len(values) > MAX_COMMANDS:
        raise InvalidCommand(f"expected {MAX_COMMANDS} commands at most, got {len(values)}")
    return values


def _with_names(value: object, n: int) -> Generator[None, None, object]:
    """Read the lists of names in a long command, a piece at a time."""
    if type(value) is not tuple:
        return value
    fields = []
    try:
        for name, each in value:
            if name == "except" and type(each) is list:
                each = yield from fields_of.read_names(each, name)
            elif name == "to" and type(each) is tuple and len(each) == 1:
                ((key, names),) = each
                if key in _PLURALS:
                    each = ((key, (yield from fields_of.read_names(names, f"to.{key}"))),)
            fields.append((name, each))
    except InvalidCommand as error:
        raise _in_list(error, n) from None
    return tuple(fields)


def _nth(n: int, value: object, has_sender: bool, where: Place) -> Command:
    try:
        return _command(value, has_sender, where)
    except InvalidCommand as error:
        raise _in_list(error, n) from None


def _in_list(error: InvalidCommand, n: int) -> InvalidCommand:
    return InvalidCommand(error.problem, n, error.field)


def _command(value: object, has_sender: bool, where: Place | None) -> Command:
    if type(value) is not tuple:
        raise InvalidCommand(f"expected an object, got {kind_of(value)}")
    if len(value) == 3:
        # Most commands are like this: they are read in half the time, by the same rules.
        (first, op), (second, to), (third, message) = value
        if first == "op" and op == "send" and second == "to" and third == "message":
            return Send(_addressed(to), fields_of.free_text(message, "message", where))
    fields = _fields(value)
    op = _required(fields, "op")
    if type(op) is not str or op not in OPS:
        given = shown(op) if type(op) is str else kind_of(op)
        raise InvalidCommand(f"expected one of {', '.join(OPS)}; got {given}", field="op")
    _, known, read = OPS[op]
    if not fields.keys() <= known.keys():
        unknown = next(name for name in fields if name not in known)
        problem = f"{op} has no such field; it has {', '.join(known)}"
        raise InvalidCommand(problem, field=shown(unknown))
    if op == "open":
        return read(_named_upstream(fields, "name", "name"), fields, where)
    to = _target(fields, has_sender)
    if to.kind == "upstream" and op not in _FOR_UPSTREAMS:
        problem = f"only {' and '.join(_FOR_UPSTREAMS)} can be for one"
        raise InvalidCommand(problem, field="to.upstream")
    return read(to, fields, where)


def _fields(value: tuple[tuple[str, object], ...]) -> _Fields:
    fields = dict(value)
    if len(fields) != len(value):
        twice = first_duplicate(name for name, _ in value)
        raise InvalidCommand("it is there twice", field=shown(twice or ""))
    return fields


_SENDER = Target("sender")
_FOR_UPSTREAMS = ("send", "close")
_ONE_OF = "expected exactly one of client, clients, group, groups, user, users, all"
# With the names that they have in errors.
_SINGULARS: dict[object, tuple[TargetKind, str]] = {
    "client": ("client", "to.client"),
    "group": ("group", "to.group"),
    "user": ("user", "to.user"),
    "upstream": ("upstream", "to.upstream"),
}
_PLURALS: dict[object, TargetKind] = {"clients": "client", "groups": "group", "users": "user"}


def _target(fields: _Fields, has_sender: bool) -> Target:
    to = _SENDER
    if "to" in fields or not has_sender:
        to = _addressed(_required(fields, "to"))
    if fields.get("except") is None:
        return to
    # A name that no client can have excludes none.
    excluded, _ = fields_of.target_names(fields["except"], "except")
    return Target(to.kind, to.names, frozenset(excluded), to.problem)


def _addressed(to: object) -> Target:
    if type(to) is not tuple:
        raise InvalidCommand(f"expected an object, not {kind_of(to)}; {_ONE_OF}", field="to")
    if len(to) != 1:
        # PHP may send the others as null.
        to = tuple(each for each in to if each[1] is not None)
        if len(to) != 1:
            raise InvalidCommand(_ONE_OF, field="to")
    ((key, value),) = to
    if key in _SINGULARS:
        kind, field = _SINGULARS[key]
        read = _cached_target if type(value) is str else _single_target
        return read(kind, value, field)
    if key in _PLURALS:
        names, problem = fields_of.target_names(value, f"to.{key}")
        return Target(_PLURALS[key], names, problem=problem)
    if key != "all":
        raise InvalidCommand(f"there is no such field; {_ONE_OF}", field=f"to.{shown(key)}")
    return _all_target(value, "to.all")


def _named_upstream(fields: _Fields, name: str, field: str) -> Target:
    """Return the upstream that a field names, which is to be opened."""
    return Target("upstream", (fields_of.upstream_name(_required(fields, name), field),))


def _all_target(value: object, field: str) -> Target:
    if value is True or (type(value) in (int, str) and value in (1, "1")):
        return Target("all")
    raise InvalidCommand(f"expected true, got {kind_of(value)}", field=field)


def _single_target(kind: TargetKind, value: object, field: str) -> Target:
    name, problem = fields_of.target_name(value, field)
    return Target(kind, () if name is None else (name,), problem=problem)


# PHP pushes to the same clients again and again.
_cached_target = lru_cache(maxsize=8192)(_single_target)


def _send(to: Target, fields: _Fields, where: Place | None) -> Send:
    if "message" in fields and "data" in fields:
        raise InvalidCommand("expected either this or message", field="data")
    history = fields_of.history_rule(fields.get("history"), to.kind)
    if "data" in fields:
        return Send(to, fields_of.base64(fields["data"], "data"), True, history)
    message = fields_of.free_text(_required(fields, "message"), "message", where)
    return Send(to, message, False, history)


def _join(to: Target, fields: _Fields, where: Place | None) -> Join:
    return Join(to, fields_of.name(_required(fields, "group"), "group"))


def _leave(to: Target, fields: _Fields, where: Place | None) -> Leave:
    return Leave(to, fields_of.name(_required(fields, "group"), "group"))


def _bind(to: Target, fields: _Fields, where: Place | None) -> Bind:
    return Bind(to, fields_of.name(_required(fields, "user"), "user"))


def _unbind(to: Target, fields: _Fields, where: Place | None) -> Unbind:
    return Unbind(to)


def _set_state(to: Target, fields: _Fields, where: Place | None) -> SetState:
    return SetState(to, fields_of.state(_required(fields, "state"), where))


def _close(to: Target, fields: _Fields, where: Place | None) -> Close:
    code, reason = fields.get("code"), fields.get("reason")
    return Close(
        to,
        fields_of.close_code(1000 if code is None else code),
        fields_of.close_reason("" if reason is None else reason),
    )


def _open(to: Target, fields: _Fields, where: Place | None) -> Open:
    url, reconnects = fields.get("url"), fields.get("reconnect")
    if reconnects is not None and type(reconnects) is not bool:
        raise InvalidCommand(
            f"expected true or false, got {kind_of(reconnects)}", field="reconnect"
        )
    return Open(
        to,
        None if url is None else fields_of.url(url, "url"),
        fields_of.headers(fields.get("headers"), "headers"),
        fields_of.subprotocols(fields.get("subprotocols"), "subprotocols"),
        reconnects is not False,
        fields_of.latest_key(fields.get("keep"), fields.get("key")),
    )


class Op(NamedTuple):
    """The reader of commands with one ``op``.

    :ivar command: the class.
    :ivar fields: the names of the fields that they may have, as keys.
    :ivar read: makes a command from its target, its fields and its place in the text.
    """

    command: type[Any]
    fields: dict[str, None]
    read: Callable[[Target, _Fields, Place | None], Command]


def _op(command: type[C], read: Callable[[Target, _Fields, Place | None], C], *fields: str) -> Op:
    return Op(command, dict.fromkeys(("op", "to", "except", *fields)), read)


_OPEN_FIELDS = dict.fromkeys(
    ("op", "name", "url", "headers", "subprotocols", "reconnect", "keep", "key")
)
OPS = {
    "send": _op(Send, _send, "message", "data", "history"),
    "join": _op(Join, _join, "group"),
    "leave": _op(Leave, _leave, "group"),
    "bind": _op(Bind, _bind, "user"),
    "unbind": _op(Unbind, _unbind),
    "state": _op(SetState, _set_state, "state"),
    "close": _op(Close, _close, "code", "reason"),
    "open": Op(Open, _OPEN_FIELDS, _open),
}


def _required(fields: _Fields, name: str) -> object:
    if name not in fields:
        raise InvalidCommand("it is missing", field=name)
    return fields[name]
