"""The list of all nodes: each says how it is, and the engine when it has renewed its lease."""

import socket
from collections.abc import Sequence
from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from phpgw.bus.interface import Bus, BusUnavailable, LuaScript
from phpgw.cluster.channels import ALL
from phpgw.cluster.exchange import Exchange
from phpgw.cluster.keys import NODES
from phpgw.cluster.membership import Membership
from phpgw.hub.nodes import NodeInfo
from phpgw.metrics import Metrics

_DESCRIBE = "describe"

LEASES = LuaScript(
    "leases",
    """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local found = {}
for _, node in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
    table.insert(found, node)
    table.insert(found, now - redis.call('ZSCORE', KEYS[1], node))
end
return found
""",
)
"""Returns the nodes with a lease, each with the milliseconds since it was renewed.

The key: the nodes.
"""


class ClusterNodeList:
    """A :class:`phpgw.hub.nodes.NodeList` of several nodes.

    It is a :class:`phpgw.cluster.membership.LeaseObserver`, too: the rate of messages is that
    between the last two renewals of the lease.

    :param part: what this process is of its gateway, such as ``worker 2``; empty for all of it.
    """

    def __init__(
        self,
        reactor: IReactorTime,
        bus: Bus,
        membership: Membership,
        exchange: Exchange,
        metrics: Metrics,
        part: str,
    ) -> None:
        self._now = reactor.seconds
        self._bus = bus
        self._membership = membership
        self._exchange = exchange
        self._metrics = metrics
        self._name = f"{socket.gethostname()} {part}".strip()
        self._rate = 0.0
        self._counted_at = self._now()
        self._count = 0
        exchange.handlers[_DESCRIBE] = self._describe_for_another
        membership.lease_observers.append(self)

    def nodes(self) -> Deferred[Sequence[NodeInfo]]:
        """See ``NodeList``."""
        return Deferred.fromCoroutine(self._nodes())

    # phpgw.cluster.membership.LeaseObserver

    def registered(self) -> None:
        """Do nothing: the renewal follows."""

    def renewed(self, orphans: int) -> None:
        """Note how many messages there were since the last time."""
        now, count = self._now(), self._metrics.messages_received + self._metrics.messages_sent
        if now > self._counted_at:
            self._rate = (count - self._count) / (now - self._counted_at)
        self._counted_at, self._count = now, count

    async def _nodes(self) -> Sequence[NodeInfo]:
        answers = await self._exchange.ask_all(ALL, _DESCRIBE, [])
        problem = answers.problem or "it does not answer"
        found = {node: _decode(node, value) for node, value in answers.values.items()}
        own = self._membership.node_id
        found[own] = _decode(own, self._describe())
        for node in self._membership.live - found.keys():
            found[node] = NodeInfo(node_id=node, problem=problem)
        ages = await self._lease_ages()
        infos = [attrs.evolve(each, lease_age=ages.get(each.node_id)) for each in found.values()]
        return sorted(infos, key=lambda each: (each.name, each.node_id))

    async def _lease_ages(self) -> dict[str, float]:
        try:
            reply = await self._bus.run(LEASES, [NODES])
        except BusUnavailable:
            return {}
        pairs = zip(reply[::2], reply[1::2], strict=True)
        return {node.decode(): max(0, age) / 1000 for node, age in pairs}

    def _describe(self) -> list[Any]:
        return [self._name, self._metrics.clients_now, self._rate, self._bus.problem]

    def _describe_for_another(self, sender: str, arguments: list[Any]) -> list[Any]:
        return self._describe()


def _decode(node_id: str, value: Any) -> NodeInfo:
    """Return what a node says of itself; later versions may say more."""
    match value:
        case [str(name), int(clients), int() | float() as rate, str(problem), *_]:
            return NodeInfo(
                node_id=node_id, name=name, clients=clients, rate=round(rate, 1), problem=problem
            )
        case _:
            return NodeInfo(node_id=node_id, problem="it answers what is not understood")
