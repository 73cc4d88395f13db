"""Assembles what one node of several has in place of the parts of a single process."""

from collections.abc import Callable
from typing import Any

import attrs

from phpgw.bus.interface import Bus
from phpgw.cluster.channels import group_channel, user_channel
from phpgw.cluster.confirmed_commands import ConfirmedCommands
from phpgw.cluster.directory import ClusterDirectory
from phpgw.cluster.dispatcher import ClusterDispatcher
from phpgw.cluster.exchange import Exchange
from phpgw.cluster.history import EngineHistory
from phpgw.cluster.kept_messages import KeptMessages
from phpgw.cluster.list_run import ListContext
from phpgw.cluster.members import Members
from phpgw.cluster.published_commands import PublishedCommands
from phpgw.cluster.remote_commands import RemoteCommands
from phpgw.cluster.routes import Router
from phpgw.cluster.subscriptions import SubscribedIndex, Subscriptions
from phpgw.cluster.upstream_leases import NodeUpstreamLeases
from phpgw.history.interface import History
from phpgw.history.rules import HistoryRules
from phpgw.hub.commander import Commander
from phpgw.hub.directory import Directory, LocalDirectory
from phpgw.hub.dispatch import Dispatcher
from phpgw.hub.registry import Registry
from phpgw.hub.upstreams import UpstreamCommands
from phpgw.metrics import Metrics
from phpgw.time_slices import TimeSlices


@attrs.frozen
class ClusterHub:
    """The clients of this node, and how those of all nodes are reached.

    :ivar history: the histories of groups, which all nodes share.
    :ivar router: tells which node has a client.
    :ivar exchange: a service: asks other nodes, and answers them.
    :ivar upstreams: carries out the commands for upstreams of this node.
    :ivar leases: a service: decides which upstreams this node holds.
    """

    registry: Registry
    commander: Commander
    directory: Directory
    history: History
    router: Router
    exchange: Exchange
    upstreams: UpstreamCommands
    leases: NodeUpstreamLeases


def make_cluster_hub(
    reactor: Any,
    bus: Bus,
    members: Members,
    metrics: Metrics,
    max_groups: int,
    slices: TimeSlices,
    rules: HistoryRules,
    lease_clock: Callable[[], float] | None = None,
) -> ClusterHub:
    """Make the parts of a node, and connect them.

    :param max_groups: how many groups a client may be in.
    :param slices: runs what is for many clients.
    :param rules: tells which groups have a history.
    :param lease_clock: as :class:`~.upstream_leases.NodeUpstreamLeases` takes it.
    """
    subscriptions = Subscriptions(bus)
    registry = Registry(
        SubscribedIndex(subscriptions, group_channel), SubscribedIndex(subscriptions, user_channel)
    )
    exchange = Exchange(reactor, bus, members)
    leases = NodeUpstreamLeases(reactor, bus, members, lease_clock)
    router = Router(registry, lambda: members.node_id, rules, leases.is_here)
    upstreams = UpstreamCommands()
    local = Dispatcher(registry, metrics, max_groups, slices, upstreams=upstreams)
    here = ConfirmedCommands(local, subscriptions)
    PublishedCommands(bus, members, local, slices, rules)
    others = RemoteCommands(exchange, here)
    history = EngineHistory(bus)
    context = ListContext(reactor, here, others, KeptMessages(others, history), router)
    commander = ClusterDispatcher(local, context, slices, metrics)
    directory = ClusterDirectory(LocalDirectory(registry, slices), router, exchange)
    return ClusterHub(registry, commander, directory, history, router, exchange, upstreams, leases)
