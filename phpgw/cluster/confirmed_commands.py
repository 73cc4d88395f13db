"""Commands for the clients of this node, which succeed once all nodes find what they have named."""

from collections.abc import Sequence
from functools import partial

from twisted.internet.defer import Deferred

from phpgw.cluster.subscriptions import Subscriptions
from phpgw.hub.client import Client
from phpgw.hub.commander import Commander, Result
from phpgw.hub.commands import Bind, Command, Join

_UNCONFIRMED = "done, but other nodes may not find the clients under this name for now"


def gives_name(command: Command) -> bool:
    """Return whether a command gives clients a name by which others have to find them."""
    return type(command) is Join or type(command) is Bind


class ConfirmedCommands:
    """Carries out commands for the clients of this node.

    :param local: does so.
    :param subscriptions: tells whether the others find the clients.
    """

    def __init__(self, local: Commander, subscriptions: Subscriptions) -> None:
        self._local = local
        self._subscriptions = subscriptions

    def run(self, command: Command, sender: Client | None = None) -> Result | Deferred[Result]:
        """Carry out a command."""
        result = self._local.run(command, sender)
        if not gives_name(command):
            return result
        if isinstance(result, Deferred):
            return result.addCallback(self._confirm)
        return self._confirm(result)

    def run_all(
        self, commands: Sequence[Command], sender: Client | None
    ) -> list[Result] | Deferred[list[Result]]:
        """Carry out commands in order."""
        results = self._local.run_all(commands, sender)
        if not any(map(gives_name, commands)):
            return results
        confirm = partial(self._confirm_all, commands)
        return results.addCallback(confirm) if isinstance(results, Deferred) else confirm(results)

    def _confirm(self, result: Result) -> Result | Deferred[Result]:
        are_in_force = self._subscriptions.are_in_force()
        if isinstance(are_in_force, Deferred):
            return are_in_force.addCallback(_confirmed, result)
        return _confirmed(are_in_force, result)

    def _confirm_all(
        self, commands: Sequence[Command], results: list[Result]
    ) -> list[Result] | Deferred[list[Result]]:
        are_in_force = self._subscriptions.are_in_force()
        if isinstance(are_in_force, Deferred):
            return are_in_force.addCallback(_all_confirmed, commands, results)
        return _all_confirmed(are_in_force, commands, results)


def _confirmed(are_in_force: bool, result: Result) -> Result:
    if are_in_force or not result.delivered:
        return result
    return Result(result.delivered, _UNCONFIRMED, is_unknown=True)


def _all_confirmed(
    are_in_force: bool, commands: Sequence[Command], results: list[Result]
) -> list[Result]:
    if are_in_force:
        return results
    return [
        _confirmed(False, result) if gives_name(command) else result
        for command, result in zip(commands, results, strict=True)
    ]
