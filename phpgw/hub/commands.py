"""The commands that PHP can give."""

import attrs


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
    :ivar problem: what is wrong with a name that was given and that nothing can have.
    """

    kind: str
    names: tuple[str, ...] = ()
    excluded: frozenset[str] = frozenset()
    problem: str | None = None


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
