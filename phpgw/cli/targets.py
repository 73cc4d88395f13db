"""Whom a command is for, or lists: ``--client``, ``--group``, ``--user``, ``--all``, and so on."""

from collections.abc import Mapping, Sequence
from typing import Any

import attrs
import click

from phpgw.cli.api_client import ApiClient
from phpgw.cli.errors import CommandFailed, InvalidUsage
from phpgw.cli.output import counted

_OPTIONS = "--client, --group, --user, --all, --upstream"
_KINDS = ("client", "group", "user", "upstream")


@attrs.frozen
class CommandTarget:
    """The target of a command.

    :ivar kind: ``client``, ``group``, ``user``, ``upstream`` or ``all``.
    """

    kind: str
    names: tuple[str, ...]

    def as_json(self) -> dict[str, object]:
        """Return the value of ``to``."""
        if self.kind == "all":
            return {"all": True}
        if len(self.names) == 1:
            return {self.kind: self.names[0]}
        return {f"{self.kind}s": self.names}

    def reached(self, count: int) -> str:
        """Return who was reached.

        :param count: how many.
        """
        return f"upstream {self.names[0]}" if self.kind == "upstream" else counted(count, "client")

    def absence(self) -> str:
        """Return that there is nobody."""
        names = ", ".join(self.names)
        return {
            "client": f"client {names} is not connected",
            "group": f"nobody is in group {names}",
            "user": f"user {names} is not connected",
            "upstream": f"upstream {names} is not open",
        }[self.kind]


def target_options() -> list[click.Parameter]:
    """Return the options that name clients."""
    return [
        click.Option(["--client"], metavar="ID", multiple=True, help="A client. Repeatable."),
        click.Option(["--group"], metavar="NAME", multiple=True, help="A group. Repeatable."),
        click.Option(["--user"], metavar="ID", multiple=True, help="A user. Repeatable."),
        click.Option(["--all", "everybody"], is_flag=True, help="All clients."),
        click.Option(["--upstream"], metavar="NAME", help="A server (--upstream of the gateway)."),
    ]


def filter_options() -> list[click.Parameter]:
    """Return the options that say which clients are listed."""
    return [
        click.Option(["--group"], metavar="NAME", help="List only clients in this group."),
        click.Option(["--user"], metavar="ID", help="List only clients of this user."),
    ]


def read_target(
    client: Sequence[str],
    group: Sequence[str],
    user: Sequence[str],
    everybody: bool,
    upstream: str | None = None,
) -> CommandTarget:
    """Return the target that the options name.

    :raises InvalidUsage: if there is none, or more than one kind.
    """
    upstreams = () if upstream is None else (upstream,)
    named = zip(_KINDS, (client, group, user, upstreams), strict=True)
    targets = [CommandTarget(kind, tuple(names)) for kind, names in named if names]
    if everybody:
        targets.append(CommandTarget("all", ()))
    if len(targets) != 1:
        found = "more than one of them" if targets else "nothing"
        raise InvalidUsage(f"got {found}; expected one of {_OPTIONS}")
    return targets[0]


def run_command(
    api: ApiClient, target: CommandTarget, command: Mapping[str, object]
) -> dict[str, Any]:
    """Run a command for the target.

    :returns: its result. ``delivered`` is the number of clients.
    """
    [result] = api.run([{**command, "to": target.as_json()}])
    return result


def check_result(target: CommandTarget, result: Mapping[str, Any]) -> None:
    """Check that the command ran for everybody who was named.

    :raises CommandFailed: if not.
    """
    if not result["delivered"] and target.kind != "all":
        raise CommandFailed(target.absence())
    if target.kind == "upstream":
        return
    if "error" in result:
        raise CommandFailed(
            f"{result['error']}; it ran for {counted(result['delivered'], 'client')}"
        )
