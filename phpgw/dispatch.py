"""What a command does to the clients it is for."""

from collections.abc import Sequence

import attrs

from phpgw.client import Client
from phpgw.commands import Bind, Close, Command, Join, Leave, Send, SetState, Target, Unbind
from phpgw.metrics import Metrics
from phpgw.registry import Index, Registry

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


class Dispatcher:
    """Carries out commands.

    :param max_groups: how many groups a client may be in.
    """

    def __init__(self, registry: Registry, metrics: Metrics, max_groups: int) -> None:
        self._registry = registry
        self._metrics = metrics
        self._max_groups = max_groups

    def run(self, command: Command, sender: Client | None = None) -> Result:
        """Carry out one command.

        A group or a user that has no client is no error, and neither is a client that the command
        leaves out.

        :param sender: whose event is being answered, if it is a reply's.
        """
        self._metrics.commands_run += 1
        return self._run(command, sender)

    def run_all(self, commands: Sequence[Command]) -> list[Result]:
        """Carry out commands that no event has led to, in order; as :meth:`run` does each.

        If there are several, what they send to the same client goes together.
        """
        if len(commands) == 1:
            return [self.run(commands[0])]
        self._metrics.commands_run += len(commands)
        return [
            self._gather(each) if type(each) is Send else self._run(each, None) for each in commands
        ]

    def _gather(self, send: Send) -> Result:
        to = send.to
        if to.kind == "client" and len(to.names) == 1 and not to.excluded:
            client = self._registry.find(to.names[0])
            if client is None:
                return _MISSED
            client.connection.gather_message(send.message, send.is_binary)
            return _DELIVERED
        clients, error = self._clients(to, None)
        for client in clients:
            client.connection.gather_message(send.message, send.is_binary)
        return Result(len(clients), error)

    def _run(self, command: Command, sender: Client | None) -> Result:
        clients, error = self._clients(command.to, sender, isinstance(command, _NOTES))
        match command:
            case Send():
                message, is_binary = command.message, command.is_binary
                for client in clients:
                    client.connection.send_message(message, is_binary)
            case Join():
                return self._join(clients, command.group, error)
            case Leave():
                for client in clients:
                    self._registry.leave(client, command.group)
            case Bind():
                for client in clients:
                    self._registry.bind(client, command.user)
            case Unbind():
                for client in clients:
                    self._registry.bind(client, None)
            case SetState():
                for client in clients:
                    _set_state(client, command.state)
            case Close():
                for client in clients:
                    client.connection.close(command.code, command.reason)
        return Result(len(clients), error)

    def _join(self, clients: list[Client], group: str, error: str | None) -> Result:
        joined = 0
        for client in clients:
            if group in client.groups or len(client.groups) < self._max_groups:
                self._registry.join(client, group)
                joined += 1
        if joined < len(clients):
            error = f"a client may be in {self._max_groups} groups at most"
        return Result(joined, error)

    def _clients(
        self, to: Target, sender: Client | None, is_note: bool = False
    ) -> tuple[list[Client], str | None]:
        """Each client once, and what is wrong if one that was named is not there.

        :param is_note: whether it counts also for one that has left, until PHP is told so.
        """
        match to.kind:
            case "client":
                return self._named(to, is_note)
            case "sender":
                return self._answered(to, sender, is_note)
            case "group":
                clients = _members(self._registry.groups, to.names)
            case "user":
                clients = _members(self._registry.users, to.names)
            case _:
                clients = list(self._registry)
        if to.excluded:
            clients = [client for client in clients if client.id not in to.excluded]
        return clients, None

    def _named(self, to: Target, is_note: bool) -> tuple[list[Client], str | None]:
        if len(to.names) == 1 and not to.excluded:
            client = self._find(to.names[0], is_note)
            return ([], _NOT_FOUND) if client is None else ([client], None)
        ids = [each for each in dict.fromkeys(to.names) if each not in to.excluded]
        found = [client for each in ids if (client := self._find(each, is_note)) is not None]
        return found, None if len(found) == len(ids) else _NOT_FOUND

    def _find(self, client_id: str, is_note: bool) -> Client | None:
        client = self._registry.find(client_id)
        return self._registry.find_leaving(client_id) if client is None and is_note else client

    def _answered(
        self, to: Target, sender: Client | None, is_note: bool
    ) -> tuple[list[Client], str | None]:
        if sender is None:
            return [], _NOT_FOUND
        # Who has left may have left his id to another.
        is_there = self._registry.find(sender.id) is sender
        if not is_there and (sender.is_told or not is_note):
            return [], _NOT_FOUND
        return [] if sender.id in to.excluded else [sender], None


def _members(index: Index, names: tuple[str, ...]) -> list[Client]:
    if len(names) == 1:
        return index.members(names[0])
    return list(dict.fromkeys(client for name in names for client in index.members(name)))


def _set_state(client: Client, state: str) -> None:
    # An empty one is none. What is prepared for an identity is kept with it: no new one in vain.
    if state != (client.identity.state or ""):
        client.identity = attrs.evolve(client.identity, state=state or None)
