"""What a command does to the clients it is for."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import attrs
from twisted.internet.defer import Deferred

from phpgw.hub.client import Client
from phpgw.hub.commands import Bind, Close, Command, Join, Leave, Send, SetState, Target, Unbind
from phpgw.hub.registry import Index, Registry
from phpgw.metrics import Metrics
from phpgw.time_slices import Steps, TimeSlices, run_to_completion

_NOT_FOUND = "client not found"


@attrs.frozen
class Result:
    """What became of a command.

    :ivar delivered: how many clients it reached.
    :ivar error: why it did not reach all that it named; ``None`` if it did.
    """

    delivered: int
    error: str | None = None


# What PHP gets back with a client's later events.
_NOTES = (Bind, Unbind, SetState, Join, Leave)
# What most commands come to.
_DELIVERED = Result(1)
_MISSED = Result(0, _NOT_FOUND)
# How many clients commands may be for to be carried out at once, which takes 4 ms then.
_MOST_AT_ONCE = 500
# So many bytes to a client take as long to send as a short message to another one.
_BYTES_OF_A_CLIENT = 32_768
# How many clients a command of a longer list may be for to be one step.
_MOST_IN_A_STEP = 20

# Does to a client what a command says; returns why not, if it has not.
_Effect = Callable[[Client], str | None]


class Dispatcher:
    """Carries out commands.

    What is for few clients is done at once, and all else in slices. Those whom a command is for
    are the ones that are there when it begins; who leaves meanwhile is not reached.

    :param max_groups: how many groups a client may be in.
    :ivar slices: what runs those for many.
    """

    def __init__(
        self, registry: Registry, metrics: Metrics, max_groups: int, slices: TimeSlices
    ) -> None:
        self._registry = registry
        self._metrics = metrics
        self._max_groups = max_groups
        self.slices = slices

    def run(self, command: Command, sender: Client | None = None) -> Result | Deferred[Result]:
        """Carry out one command.

        A group or a user that has no client is no error, and neither is a client that the command
        leaves out.

        :param sender: whose event is being answered, if it is a reply's.
        """
        self._metrics.commands_run += 1
        if _cost(command, self._reach(command.to)) > _MOST_AT_ONCE:
            return self.slices.run(self._steps(command, sender, is_gathered=False))
        return self._run(command, sender, is_gathered=False)

    def run_all(
        self, commands: Sequence[Command], sender: Client | None = None
    ) -> list[Result] | Deferred[list[Result]]:
        """Carry out commands in order, as :meth:`run` does each.

        If there are several that no event has led to, what they send to the same client goes
        together.
        """
        if self.is_long(commands):
            return self.slices.run(self.steps_of_all(commands, sender))
        return self.run_now(commands, sender)

    def run_now(self, commands: Sequence[Command], sender: Client | None = None) -> list[Result]:
        """Do the same as :meth:`run_all` at once, with commands that are not long."""
        self._metrics.commands_run += len(commands)
        is_gathered = len(commands) > 1 and sender is None
        return [self._run(each, sender, is_gathered) for each in commands]

    def steps_of_all(
        self, commands: Sequence[Command], sender: Client | None = None
    ) -> Steps[list[Result]]:
        """Do the same as :meth:`run_all` as a job, or as a part of one."""
        is_gathered = len(commands) > 1 and sender is None
        results = []
        for command in commands:
            self._metrics.commands_run += 1
            if _cost(command, self._reach(command.to)) > _MOST_IN_A_STEP:
                results.append((yield from self._steps(command, sender, is_gathered)))
            else:
                results.append(self._run(command, sender, is_gathered))
                yield
        return results

    def is_long(self, commands: Sequence[Command]) -> bool:
        """Return whether these commands are for so many clients that they have to be a job."""
        total = 0
        # Clients by which a group or a user may have grown until a command's turn comes.
        growth = 0
        for command in commands:
            to = command.to
            if type(command) is Send and to.kind == "client":
                total += _cost(command, len(to.names) or 1)
                continue
            reach = self._reach(to)
            if to.kind in _SHARED:
                reach += growth * len(to.names)
            if type(command) is Join or type(command) is Bind:
                growth += reach
            total += _cost(command, reach or 1)
        return total > _MOST_AT_ONCE

    def _reach(self, to: Target) -> int:
        """Return how many clients a command is for, at most."""
        if to.kind == "client":
            return len(to.names)
        if to.kind in _SHARED:
            return len(to.names) + sum(map(self._index(to).size, to.names))
        return 1 if to.kind == "sender" else len(self._registry)

    def _index(self, to: Target) -> Index:
        return self._registry.groups if to.kind == "group" else self._registry.users

    def _run(self, command: Command, sender: Client | None, is_gathered: bool) -> Result:
        to = command.to
        if type(command) is Send and not to.excluded and to.problem is None:
            # What most commands are.
            if to.kind == "client" and len(to.names) == 1:
                return self._send(command, self._registry.find(to.names[0]), is_gathered)
            if to.kind == "sender":
                is_there = sender is not None and self._registry.find(sender.id) is sender
                return self._send(command, sender if is_there else None, is_gathered)
        return run_to_completion(self._steps(command, sender, is_gathered))

    def _steps(self, command: Command, sender: Client | None, is_gathered: bool) -> Steps[Result]:
        """Carry out a command, a client in each step."""
        apply = self._effect(command, is_gathered)
        # Whether it counts also for one that has left, until PHP is told so.
        is_note = isinstance(command, _NOTES)
        # That one who was not named is not there is no error.
        is_named = command.to.kind in ("client", "sender")
        excluded = command.to.excluded
        registry = self._registry
        removals = registry.removals
        delivered, error = 0, command.to.problem
        for clients in self._clients(command.to, sender, is_note):
            for client in clients:
                if client is None:
                    error = _NOT_FOUND
                elif (not excluded or client.id not in excluded) and (
                    removals == registry.removals or self._is_there(client, is_note)
                ):
                    problem = apply(client)
                    if problem is None:
                        delivered += 1
                    elif problem != _NOT_FOUND or is_named:
                        error = problem
                yield
            yield
        return Result(delivered, error)

    def _effect(self, command: Command, is_gathered: bool) -> _Effect:
        match command:
            case Send():
                return self._sending(command, is_gathered)
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

    def _send(self, send: Send, client: Client | None, is_gathered: bool) -> Result:
        """Send to one client, if it is there."""
        if client is None:
            return _MISSED
        removals = self._registry.removals
        if is_gathered:
            client.connection.gather_message(send.message, send.is_binary)
        else:
            client.connection.send_message(send.message, send.is_binary)
        if removals != self._registry.removals and not self._is_there(client, False):
            return _MISSED
        return _DELIVERED

    def _sending(self, send: Send, is_gathered: bool) -> _Effect:
        registry = self._registry
        message, is_binary = send.message, send.is_binary

        def send_to(client: Client) -> str | None:
            removals = registry.removals
            if is_gathered:
                client.connection.gather_message(message, is_binary)
            else:
                client.connection.send_message(message, is_binary)
            # Who reads too slowly is closed in place of being sent more.
            if removals != registry.removals and registry.find(client.id) is not client:
                return _NOT_FOUND
            return None

        return send_to

    def _join(self, group: str, client: Client) -> str | None:
        if group not in client.groups and len(client.groups) >= self._max_groups:
            return f"a client may be in {self._max_groups} groups at most (--max-groups)"
        self._registry.join(client, group)
        return None

    def _clients(
        self, to: Target, sender: Client | None, is_note: bool
    ) -> Iterator[Sequence[Client | None]]:
        """Find the clients, some at a time, each of them once; ``None`` for one that is missing."""
        match to.kind:
            case "client":
                for name in dict.fromkeys(to.names):
                    yield () if name in to.excluded else (self._find(name, is_note),)
            case "sender":
                is_there = sender is not None and self._is_there(sender, is_note)
                yield (sender if is_there else None,)
            case "group" | "user":
                yield from _members(self._index(to), to.names)
            case _:
                yield list(self._registry)

    def _find(self, client_id: str, is_note: bool) -> Client | None:
        client = self._registry.find(client_id)
        return self._registry.find_disconnected(client_id) if client is None and is_note else client

    def _is_there(self, client: Client, is_note: bool) -> bool:
        # Who has left may have left his id to another.
        return self._registry.find(client.id) is client or (is_note and not client.is_finished)


_SHARED = ("group", "user")


def _cost(command: Command, reach: int) -> int:
    """Return how much work a command is: as much as a short message to so many clients.

    :param reach: how many clients it is for.
    """
    if type(command) is Send:
        return reach + reach * len(command.message) // _BYTES_OF_A_CLIENT
    return reach


def _members(index: Index, names: Sequence[str]) -> Iterator[list[Client]]:
    """The clients under these names, name by name."""
    if len(names) == 1:
        yield index.members(names[0])
        return
    seen: set[Client] = set()
    for name in names:
        clients = [client for client in index.members(name) if client not in seen]
        seen.update(clients)
        yield clients


def _do(change: Callable[[Client, Any], None], value: object, client: Client) -> None:
    change(client, value)


def _close(command: Close, client: Client) -> None:
    client.connection.close(command.code, command.reason)


def _set_state(client: Client, state: str) -> None:
    # An empty one is none. What is prepared for an identity is kept with it: no new one in vain.
    if state != (client.identity.state or ""):
        client.identity = attrs.evolve(client.identity, state=state or None)
