"""Commands as the arguments of questions."""

from collections.abc import Sequence
from functools import lru_cache
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
# Each class with the types of its fields.
_CLASSES: dict[str, tuple[type[Any], list[type]]] = {
    each.op: (each, [kind for _, kind in fields]) for each, fields in _FIELDS.items()
}
# The types of what comes before the fields.
_HEAD = [str, str, list, list]
_KINDS = get_args(TargetKind)


def encode_command(command: Command, names: Sequence[str]) -> list[Any]:
    """Return a command as ``[op, kind, names, excluded, ...]``; other fields follow.

    :param names: those of its target's names that it is for.
    """
    to = command.to
    if type(command) is Send:
        # Most commands are like this.
        return ["send", to.kind, names, [*to.excluded], command.message, command.is_binary]
    fields = [getattr(command, name) for name, _ in _FIELDS[type(command)]]
    return [command.op, to.kind, names, [*to.excluded], *fields]


def decode_command(value: Any) -> Command:
    """Return the command that :func:`encode_command` has encoded.

    :raises ValueError: if it is none.
    """
    # Without patterns, which take five times as long.
    if type(value) is not list or len(value) < len(_HEAD):
        raise ValueError("this is no command")
    op, kind, names, excluded, *fields = value
    if [type(op), type(kind), type(names), type(excluded)] != _HEAD:
        raise ValueError("this is no command")
    known = _CLASSES.get(op)
    if known is None or [*map(type, fields)] != known[1]:
        raise ValueError("this command is not known, or has other fields")
    command: Command = known[0](_target(kind, tuple(names), tuple(excluded)), *fields)
    return command


# PHP pushes to the same clients again and again.
@lru_cache(maxsize=8192)
def _target(kind: str, names: tuple[str, ...], excluded: tuple[str, ...]) -> Target:
    if kind not in _KINDS or not all(type(name) is str for name in (*names, *excluded)):
        raise ValueError("this target is not known")
    return Target(cast(TargetKind, kind), names, frozenset(excluded))
