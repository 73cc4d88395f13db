"""The effects on a client of commands that send nothing."""

from collections.abc import Callable
from functools import partial
from typing import Any

import attrs

from phpgw.hub.client import Client
from phpgw.hub.commands import AppliedCommand, Bind, Close, Join, Leave, SetState, Unbind
from phpgw.hub.registry import Registry

# Applies a command to a client; returns why it could not, or None if it could.
Effect = Callable[[Client], str | None]


class Effects:
    """The effects of commands on the clients of a registry.

    :param max_groups: how many groups a client may be in.
    """

    def __init__(self, registry: Registry, max_groups: int) -> None:
        self._registry = registry
        self._max_groups = max_groups

    def of(self, command: AppliedCommand) -> Effect:
        """Return what a command does to a client; mypy sees to it that there is a case for each."""
        match command:
            case Join():
                return partial(self._join, command.group)
            case Leave():
                return partial(_do, self._registry.leave, command.group)
            case Bind():
                return partial(_do, self._registry.bind, command.user)
            case Unbind():
                return partial(_do, self._registry.bind, None)
            case SetState():
                return partial(_do, _set_state, command.state)
            case Close():
                return partial(_close, command)

    def _join(self, group: str, client: Client) -> str | None:
        if group not in client.groups and len(client.groups) >= self._max_groups:
            return f"a client may be in {self._max_groups} groups at most (--max-groups)"
        self._registry.join(client, group)
        return None


def _do(change: Callable[[Client, Any], None], value: object, client: Client) -> None:
    change(client, value)


def _close(command: Close, client: Client) -> None:
    client.connection.close(command.code, command.reason)


def _set_state(client: Client, state: str) -> None:
    # An empty state is none. The same identity stays where possible: what is derived from it is
    # cached with it.
    if state != (client.identity.state or ""):
        client.identity = attrs.evolve(client.identity, state=state or None)
