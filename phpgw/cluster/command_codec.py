"""Commands as the arguments of questions."""

from typing import Any, cast, get_args

from phpgw.hub.commands import (
    Bind,
    Close,
    Command,
    Join,
    Leave,
    Send,
    SetState,
    Target,
    TargetKind,
    Unbind,
)

# The fields of each class beside its target, with their types.
_FIELDS: dict[type[Command], tuple[tuple[str, type], ...]] = {
    Send: (("message", bytes), ("is_binary", bool)),
    Join: (("group", str),),
    Leave: (("group", str),),
    Bind: (("user", str),),
    Unbind: (),
    SetState: (("state", str),),
    Close: (("code", int), ("reason", str)),
}
_CLASSES: dict[str, type[Any]] = {each.op: each for each in _FIELDS}
_KINDS = get_args(TargetKind)


def encode_command(command: Command) -> list[Any]:
    """Return a command as ``[op, kind, names, excluded, ...]``; other fields follow."""
    to = command.to
    fields = [getattr(command, name) for name, _ in _FIELDS[type(command)]]
    return [command.op, to.kind, to.names, [*to.excluded], *fields]


def decode_command(value: Any) -> Command:
    """Return the command that :func:`encode_command` has encoded.

    :raises ValueError: if it is none.
    """
    match value:
        case [str(op), str(kind), list(names), list(excluded), *fields]:
            pass
        case _:
            raise ValueError("this is no command")
    cls = _CLASSES.get(op)
    if cls is None or kind not in _KINDS or not all(type(n) is str for n in (*names, *excluded)):
        raise ValueError("this command or its target is not known")
    types = [each for _, each in _FIELDS[cls]]
    if [*map(type, fields)] != types:
        raise ValueError(f"a command {op} has other fields")
    command: Command = cls(
        Target(cast(TargetKind, kind), tuple(names), frozenset(excluded)), *fields
    )
    return command
