"""The commander of several nodes: what is for clients here is done here, the rest by others."""

from collections.abc import Sequence
from itertools import count

from twisted.internet.defer import Deferred

from phpgw.cluster.channels import node_channel
from phpgw.cluster.confirmed_commands import gives_name
from phpgw.cluster.list_run import ListContext, ListRun
from phpgw.cluster.routes import RemotePart
from phpgw.hub.client import Client
from phpgw.hub.commander import Commander, Result, is_undelivered
from phpgw.hub.commands import Command, Send, Target
from phpgw.metrics import Metrics
from phpgw.time_slices import TimeSlices, TooManyJobs

# How many commands are carried out here at once.
_MAX_AT_ONCE = 200


class ClusterDispatcher(Commander):
    """The commander for the clients of all nodes.

    The results of pushes and batches are those of all nodes. The other nodes' results of a reply
    are not waited for, so that a node that hangs does not stop the clients of this one.

    :param local: carries out what is for the clients of this node.
    :param context: what lists are carried out with.
    :param slices: tells whether too many jobs run already.
    """

    def __init__(
        self, local: Commander, context: ListContext, slices: TimeSlices, metrics: Metrics
    ) -> None:
        self._local = local
        self._context = context
        self._here = context.here
        self._router = context.router
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
        route = self._context.router.route(push)
        [part, *others] = route.remote
        if route.local is None and part.node is not None and not others:
            # Most pushes to other nodes are like this.
            result = self._context.others.ask_one(push, part)
        else:
            result = self._start([push]).addCallback(_first)
        return result.addCallback(self._count_push, push)

    def push_to_client(self, client_id: str, message: bytes) -> bool | Deferred[Result]:
        """Push to one client; see :meth:`Commander.push_to_client`."""
        node = self._router.node_of(client_id)
        if node is None:
            return self._local.push_to_client(client_id, message)
        part = RemotePart(node_channel(node), node, (client_id,))
        push = Send(Target("client", (client_id,)), message)
        return self._context.others.ask_one(push, part).addCallback(self._count_push, push)

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
        order = ""
        if sender is not None:
            order = sender.id
        elif len(commands) > 1:
            order = f"#{next(self._lists)}"
        run = ListRun(self._context, sender, order, is_reply=is_reply)
        return Deferred.fromCoroutine(run.run(commands))


def _first(results: list[Result]) -> Result:
    return results[0]
