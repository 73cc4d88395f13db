"""One list of commands: each goes to the nodes that it is for, and the results come back."""

from collections.abc import Sequence
from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from phpgw.cluster.channels import is_for_one_node
from phpgw.cluster.confirmed_commands import ConfirmedCommands, gives_name
from phpgw.cluster.kept_messages import KeptMessage, KeptMessages
from phpgw.cluster.remote_commands import RemoteCommands, RemoteList
from phpgw.cluster.routes import RemotePart, Route, Router
from phpgw.history.interface import GroupPosition
from phpgw.hub.client import Client
from phpgw.hub.commander import Result
from phpgw.hub.commands import Command, Send

# How many commands are carried out in one turn of the reactor.
_MAX_AT_ONCE = 200
_NOTHING = Result(0)
_NO_UPSTREAM = Result(0, "upstream is not open")


@attrs.define(eq=False)
class _Collected:
    """Commands for the same nodes, until they go there.

    :ivar indexes: where they are in the whole list.
    :ivar gives_names: whether the results are waited for in any case.
    """

    remote: RemoteList
    indexes: list[int] = attrs.field(factory=list)
    gives_names: bool = False


@attrs.frozen
class ListContext:
    """The context of all lists.

    :ivar here: carries out commands for the clients of this node.
    :ivar others: carries out commands for the clients of other nodes.
    :ivar kept: sends messages to other nodes that are kept in histories.
    :ivar router: tells which are which.
    """

    reactor: Any
    here: ConfirmedCommands
    others: RemoteCommands
    kept: KeptMessages
    router: Router


class ListRun:
    """Carries out one list.

    A command that gives clients of other nodes a name is a *barrier*: the commands after it wait
    until it is done, since they may need the name.

    :param sender: the client whose event PHP replies to.
    :param order: lists with the same order are carried out one after another on each node.
    :param is_reply: whether no results of other nodes are waited for, except at a barrier.
    """

    def __init__(
        self, context: ListContext, sender: Client | None, order: str, *, is_reply: bool
    ) -> None:
        self._context = context
        self._sender = sender
        self._order = order
        self._is_reply = is_reply
        # What waits to be carried out: commands for this node with their indexes, and for others.
        self._local: list[tuple[int, Command]] = []
        self._remote: dict[bytes, _Collected] = {}
        # Messages that are kept in histories, with their indexes. Nothing else waits with them.
        self._kept: list[tuple[int, Send, Route]] = []
        self._asked: list[tuple[Sequence[int], Deferred[list[list[Result]]]]] = []
        self._results: list[list[Result]] = []
        self._positions: dict[int, tuple[GroupPosition, ...]] = {}

    async def run(self, commands: Sequence[Command]) -> list[Result]:
        """Carry out the commands in order, and return their results."""
        self._results = [[] for _ in commands]
        route = self._context.router.route
        for index, command in enumerate(commands):
            its_route = route(command)
            if its_route.rules:
                await self._carry_out()
                assert isinstance(command, Send)
                self._kept.append((index, command, its_route))
                if len(self._kept) == _MAX_AT_ONCE:
                    await self._send_kept()
                continue
            if self._kept:
                await self._send_kept()
            if its_route.local is not None:
                self._local.append((index, its_route.local))
            for part in its_route.remote:
                self._collect(index, command, part)
            if its_route.remote and gives_name(command):
                await self._carry_out()
                await self._settle()
            elif not (index + 1) % _MAX_AT_ONCE:
                await self._carry_out()
                # A long list does not keep the reactor from its sockets.
                await deferLater(self._context.reactor, 0)
        await self._carry_out()
        await self._send_kept()
        await self._settle()
        return await self._sums(commands)

    def _collect(self, index: int, command: Command, part: RemotePart) -> None:
        """Keep a part of a command for other nodes, behind those that go to the same ones."""
        collected = self._remote.get(part.channel)
        if collected is None:
            if not (is_for_one_node(part.channel) and all(map(is_for_one_node, self._remote))):
                # A client may be meant by both, and has to get them in order.
                self._send_out()
            collected = self._remote[part.channel] = _Collected(RemoteList(part))
        collected.remote.add(command, part)
        collected.indexes.append(index)
        collected.gives_names = collected.gives_names or gives_name(command)

    def _send_out(self) -> None:
        """Have the other nodes carry out what was collected."""
        collected, self._remote = self._remote, {}
        for each in collected.values():
            if self._is_reply and not each.gives_names:
                result = self._context.others.tell(each.remote, self._order)
                for index in each.indexes:
                    self._results[index].append(result)
            else:
                asked = self._context.others.ask(each.remote, self._order)
                self._asked.append((each.indexes, asked))

    async def _carry_out(self) -> None:
        """Carry out what was collected, here and on other nodes."""
        self._send_out()
        local, self._local = self._local, []
        if local:
            running = self._context.here.run_all([each for _, each in local], self._sender)
            results = await running if isinstance(running, Deferred) else running
            for (index, _), result in zip(local, results, strict=True):
                self._results[index].append(result)

    async def _send_kept(self) -> None:
        """Send messages that are kept in histories.

        The clients of this node get each of them once the engine has replied. What is before it in
        the histories has come by then, so that they get all in the same order.
        """
        kept, self._kept = self._kept, []
        sent = [self._send_one_kept(send, route) for _, send, route in kept]
        for (index, _, route), message in zip(kept, sent, strict=True):
            self._positions[index] = await message.positions
            assert route.local is not None
            self._local.append((index, route.local))
            await self._carry_out()
            if isinstance(message.results, Deferred):
                self._asked.append(([index], message.results))
            else:
                self._results[index] += message.results[0]

    def _send_one_kept(self, send: Send, route: Route) -> KeptMessage:
        [part] = route.remote
        remote = RemoteList(part)
        remote.add(send, part)
        return self._context.kept.send(
            send, remote, route.rules, self._order, wants_result=not self._is_reply
        )

    async def _settle(self) -> None:
        """Wait for the results of other nodes."""
        asked, self._asked = self._asked, []
        for indexes, running in asked:
            for index, results in zip(indexes, await running, strict=True):
                self._results[index] += results

    async def _sums(self, commands: Sequence[Command]) -> list[Result]:
        sums = [*map(_sum, self._results)]
        nobody = [
            index
            for index, result in enumerate(sums)
            if result == _NOTHING
            and commands[index].to.kind in ("group", "user", "all")
            # Whoever is cut off can get a message that is kept from its history.
            and index not in self._positions
        ]
        if nobody and not self._is_reply:
            cut_off = await self._context.others.find_cut_off()
            for index in nobody if cut_off is not None else ():
                assert cut_off is not None
                sums[index] = cut_off
        for index, result in enumerate(sums):
            if result == _NOTHING and commands[index].to.kind == "upstream" and not self._is_reply:
                sums[index] = _NO_UPSTREAM
        for index, positions in self._positions.items():
            sums[index] = attrs.evolve(sums[index], positions=positions)
        return sums


def _sum(results: Sequence[Result]) -> Result:
    """Return the sum of results; what is not known is more important than any other error."""
    if len(results) == 1:
        return results[0]
    delivered = sum(each.delivered for each in results)
    errors = [each for each in results if each.error is not None]
    if not errors:
        return Result(delivered)
    worst = max(errors, key=lambda each: each.is_unknown)
    return Result(delivered, worst.error, is_unknown=worst.is_unknown)
