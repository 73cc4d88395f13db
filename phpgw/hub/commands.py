"""The commands that PHP can give, and whom they are for."""

from typing import ClassVar, Literal

import attrs

from phpgw.history.rules import HistoryRule

TargetKind = Literal["sender", "client", "group", "user", "all", "upstream"]


class InvalidCommand(Exception):
    """A text is not a command, or not a list of commands.

    :ivar problem: what is wrong.
    :ivar index: which command of the list is wrong, from 0; ``None`` if it is the whole text.
    :ivar field: the field that is wrong, like ``to.group``; ``None`` if it is no single one.
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
    """The clients that a command is for, or the upstream.

    :ivar kind: ``sender`` is the client whose event PHP replies to.
    :ivar names: the clients, groups, users or the upstream; empty for the other kinds.
    :ivar excluded: ids of clients that the command is not for.
    :ivar problem: what is wrong with a name that was given and that no client, group or user can
        have; ``None`` if nothing is.
    """

    kind: TargetKind
    names: tuple[str, ...] = ()
    excluded: frozenset[str] = frozenset()
    problem: str | None = None


# Not frozen: most commands are of this kind, and freezing one takes longer than making it.
@attrs.define
class Send:
    """Send a message.

    :ivar history: the rule for the histories of the groups that it is for; ``None`` for the rule
        that each group has.
    """

    op: ClassVar = "send"
    to: Target
    message: bytes
    is_binary: bool = False
    history: HistoryRule | None = None


@attrs.frozen
class Join:
    """Add clients to a group."""

    op: ClassVar = "join"
    to: Target
    group: str


@attrs.frozen
class Leave:
    """Remove clients from a group."""

    op: ClassVar = "leave"
    to: Target
    group: str


@attrs.frozen
class Bind:
    """Set the clients' user."""

    op: ClassVar = "bind"
    to: Target
    user: str


@attrs.frozen
class Unbind:
    """Remove the clients' user."""

    op: ClassVar = "unbind"
    to: Target


@attrs.frozen
class SetState:
    """Set the clients' state, a text that PHP is told with each of their events."""

    op: ClassVar = "state"
    to: Target
    state: str


@attrs.frozen
class Close:
    """Close the clients' connections."""

    op: ClassVar = "close"
    to: Target
    code: int = 1000
    reason: str = ""


@attrs.frozen
class Open:
    """Open an outgoing WebSocket to a server: the upstream that the target names.

    :ivar url: the server; ``None`` for that which the settings give the upstream.
    :ivar headers: further headers of the handshake; they may be secrets.
    :ivar subprotocols: those that are offered, the best first.
    :ivar reconnects: whether it is opened again when it has ended.
    :ivar latest_by: where messages have their key, a JSON pointer: of those with the same key, only
        the newest waits for PHP; ``None`` to keep all.
    """

    op: ClassVar = "open"
    to: Target
    url: str | None = attrs.field(default=None, repr=False)
    headers: tuple[tuple[str, str], ...] = attrs.field(default=(), repr=False)
    subprotocols: tuple[str, ...] = ()
    reconnects: bool = True
    latest_by: str | None = None


# A class that is added here needs an entry in command_parser.OPS, which a test checks, and a case
# in Effects.of, which mypy checks.
AppliedCommand = Join | Leave | Bind | Unbind | SetState | Close
Command = Send | AppliedCommand | Open
