"""The commander of several nodes: what is for clients here is done here, the rest by others."""

from collections.abc import Iterator, Sequence
from itertools import count
from typing import Any, cast

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from phpgw.cluster.confirmed_commands import ConfirmedCommands, gives_name
from phpgw.cluster.kept_messages import KeptMessages
from phpgw.cluster.remote_commands import RemoteCommands
from phpgw.cluster.routes import Route, Router
from phpgw.history.interface import GroupPosition
from phpgw.hub.client import Client
from phpgw.hub.commander import Commander, Result, is_undelivered
from phpgw.hub.commands import Command, Send
from phpgw.metrics import Metrics
from phpgw.time_slices import TimeSlices, TooManyJobs

# How many commands of a list are carried out in one turn of the reactor.
_MAX_AT_ONCE = 200
_NOTHING = Result(0)


class ClusterDispatcher(Commander):
    """The commander for the clients of all nodes.

    The results of pushes and batches are those of all nodes. The other nodes' results of a reply
    are not waited for, so that a node that hangs does not stop the clients of this one.

    A command that gives clients of other nodes a name is a *barrier*: the commands after it wait
    until it is done, since they may need the name.

    :param local: carries out what is for the clients of this node.
    :param here: does the same, and waits until other nodes find them.
    :param others: carries out what is for the clients of other nodes.
    :param kept: does so with messages to groups that have a history.
    :param slices: tells whether too many jobs run already.
    """

    def __init__(
        self,
        reactor: Any,
        local: Commander,
        here: ConfirmedCommands,
        others: RemoteCommands,
        kept: KeptMessages,
        router: Router,
        slices: TimeSlices,
        metrics: Metrics,
    ) -> None:
        self._reactor = reactor
        self._local = local
        self._here = here
        self._others = others
        self._kept = kept
        self._router = router
        self._slices = slices
        self._metrics = metrics
        self._lists = count(1)

    def run(self, command: Command, sender: Client | None = None) -> Result | Deferred[Result]:
        """Carry out one command; see :meth:`Commander.run`."""
        if self._router.is_local(command):
            return self._here.run(command, sender)
        return self._start([command], sender).addCallback(_first)

    def run_all(
        self, commands: Sequence[Command], sender: Client | None = None
    ) -> list[Result] | Deferred[list[Result]]:
        """Carry out the commands of a reply; see :meth:`Commander.run_all`."""
        if self._are_local(commands):
            return self._here.run_all(commands, sender)
        return self._start(commands, sender, is_reply=True)

    def reply(self, client: Client, payload: bytes, is_binary: bool) -> None:
        """Send a plain reply; see :meth:`Commander.reply`."""
        self._local.reply(client, payload, is_binary)

    def push(self, push: Send) -> Result | Deferred[Result]:
        """Carry out a push; see :meth:`Commander.push`."""
        if self._router.is_local(push):
            return self._local.push(push)
        self._check_room()
        result = self._start([push]).addCallback(_first)
        return result.addCallback(self._count_push, push)

    def push_to_client(self, client_id: str, message: bytes) -> bool:
        """Push to a client of this node; see :meth:`Commander.push_to_client`."""
        return self._local.push_to_client(client_id, message)

    def run_batch(self, commands: Sequence[Command]) -> list[Result] | Deferred[list[Result]]:
        """Carry out a batch; see :meth:`Commander.run_batch`."""
        results = self.run_batch_at_once(commands)
        if results is not None:
            return results
        self._check_room()
        return self._start(commands).addCallback(self._count_batch)

    def run_batch_at_once(self, commands: Sequence[Command]) -> list[Result] | None:
        """Carry out a short batch for this node; see :meth:`Commander.run_batch_at_once`."""
        if any(map(gives_name, commands)) or not self._are_local(commands):
            return None
        return self._local.run_batch_at_once(commands)

    def _check_room(self) -> None:
        if self._slices.is_full:
            raise TooManyJobs

    def _are_local(self, commands: Sequence[Command]) -> bool:
        """Return whether commands are a few, for clients of this node alone."""
        return len(commands) <= _MAX_AT_ONCE and all(map(self._router.is_local, commands))

    def _count_push(self, result: Result, push: Send) -> Result:
        if not result.is_unknown and not is_undelivered(push, result):
            self._metrics.pushes_delivered[push.to.kind] += 1
        return result

    def _count_batch(self, results: list[Result]) -> list[Result]:
        self._metrics.pushes_delivered["batch"] += 1
        return results

    def _start(
        self, commands: Sequence[Command], sender: Client | None = None, *, is_reply: bool = False
    ) -> Deferred[list[Result]]:
        """Carry out a list."""
        order = sender.id if sender is not None else f"#{next(self._lists)}"
        return Deferred.fromCoroutine(self._run_list(commands, sender, order, is_reply))

    async def _run_list(
        self, commands: Sequence[Command], sender: Client | None, order: str, is_reply: bool
    ) -> list[Result]:
        results: list[Result | Deferred[Result]] = []
        for routes in self._segments(commands):
            if len(results) >= _MAX_AT_ONCE:
                # A long list does not keep the reactor from its sockets.
                await deferLater(self._reactor, 0)
            if routes[0].rules:
                results += await self._run_kept(routes, sender, order, is_reply)
                continue
            theirs = [self._send_out(route, order, is_reply) for route in routes]
            ours = await self._run_here(routes, sender)
            results += map(self._sum, routes, ours, theirs)
            if _is_barrier(routes[-1]):
                results[-1] = await _settled(results[-1])
        return [await _settled(result) for result in results]

    def _segments(self, commands: Sequence[Command]) -> Iterator[list[Route]]:
        """Yield the routes of commands; those in one list need not wait for each other.

        All in one list are kept in histories, or none is.
        """
        routes: list[Route] = []
        for command in commands:
            route = self._router.route(command)
            if routes and bool(route.rules) != bool(routes[0].rules):
                yield routes
                routes = []
            routes.append(route)
            if _is_barrier(route) or len(routes) == _MAX_AT_ONCE:
                yield routes
                routes = []
        if routes:
            yield routes

    async def _run_kept(
        self, routes: Sequence[Route], sender: Client | None, order: str, is_reply: bool
    ) -> list[Result | Deferred[Result]]:
        """Carry out messages that are kept in histories.

        The clients of this node get each of them once the engine has replied. What is before it in
        the histories has come by then, so that they get all in the same order.
        """
        sent = [
            self._kept.send(route.remote[0], route.rules, order, wants_result=not is_reply)
            for route in routes
        ]
        results: list[Result | Deferred[Result]] = []
        for route, message in zip(routes, sent, strict=True):
            positions = await message.positions
            [ours] = await self._run_here([route], sender)
            result = self._sum(route, ours, [message.result])
            if isinstance(result, Deferred):
                results.append(result.addCallback(_with_positions, positions))
            else:
                results.append(_with_positions(result, positions))
        return results

    async def _run_here(self, routes: Sequence[Route], sender: Client | None) -> list[Result]:
        """Carry out the parts for this node in order; return a result for each route."""
        commands = [route.local for route in routes if route.local is not None]
        running = self._here.run_all(commands, sender) if commands else []
        results = iter(await running if isinstance(running, Deferred) else running)
        return [_NOTHING if route.local is None else next(results) for route in routes]

    def _send_out(
        self, route: Route, order: str, is_reply: bool
    ) -> list[Result | Deferred[Result]]:
        """Have other nodes carry out their parts."""
        if is_reply and not _is_barrier(route):
            return [self._others.tell(part, order) for part in route.remote]
        return [self._others.ask(part, order) for part in route.remote]

    def _sum(
        self, route: Route, ours: Result, theirs: Sequence[Result | Deferred[Result]]
    ) -> Result | Deferred[Result]:
        """Return the sum of the results of all parts of a command."""
        if not any(isinstance(each, Deferred) for each in theirs):
            return _total([ours, *cast(Sequence[Result], theirs)])
        return Deferred.fromCoroutine(self._sum_later(route, ours, theirs))

    async def _sum_later(
        self, route: Route, ours: Result, theirs: Sequence[Result | Deferred[Result]]
    ) -> Result:
        result = _total([ours, *[await _settled(each) for each in theirs]])
        if result.delivered or result.is_unknown or route.command.to.kind == "client":
            return result
        if route.rules:
            # Whoever is cut off can get it from the history.
            return result
        return await self._others.check_for_nobody(result)


def _total(results: Sequence[Result]) -> Result:
    """Return the sum of results; what is not known is more important than any other error."""
    errors = [each for each in results if each.error is not None]
    delivered = sum(each.delivered for each in results)
    if not errors:
        return Result(delivered)
    worst = max(errors, key=lambda each: each.is_unknown)
    return Result(delivered, worst.error, is_unknown=worst.is_unknown)


def _with_positions(result: Result, positions: tuple[GroupPosition, ...]) -> Result:
    return attrs.evolve(result, positions=positions)


def _first(results: list[Result]) -> Result:
    return results[0]


async def _settled(result: Result | Deferred[Result]) -> Result:
    return await result if isinstance(result, Deferred) else result


def _is_barrier(route: Route) -> bool:
    """Return whether what follows may need the names that other nodes give."""
    return bool(route.remote) and gives_name(route.command)
