"""Assembles the parts of a gateway that is one of several."""

import time
from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import Any

from twisted.application.service import IService
from twisted.internet.interfaces import IAddress

from phpgw.bus.selection import make_bus
from phpgw.bus.state import observe_bus
from phpgw.cluster.adoption import Adoption
from phpgw.cluster.fencing import FencedConnection, Fencing
from phpgw.cluster.hold import ClusterHoldControl
from phpgw.cluster.hub import make_cluster_hub
from phpgw.cluster.ledger import NodeLedger
from phpgw.cluster.membership import Membership
from phpgw.cluster.node_list import ClusterNodeList
from phpgw.cluster.recorded_events import ClusterRecords
from phpgw.cluster.reported_deaths import ReportedDeaths
from phpgw.cluster.service_order import ServiceOrder
from phpgw.cluster.state import ClusterState, observe_cluster
from phpgw.cluster.timer_turns import TimerTurns
from phpgw.history.rules import HistoryRules
from phpgw.hub.nodes import NodeList
from phpgw.hub.recorded_events import OwnRecords, RecordsOf
from phpgw.hub.upstreams import UpstreamLeases
from phpgw.metrics import Metrics
from phpgw.observable import Observable
from phpgw.relay.hold import Hold
from phpgw.relay.hold_control import HoldControl
from phpgw.relay.ledger import Ledger, NoLedger
from phpgw.relay.relay import Relay
from phpgw.settings import Settings
from phpgw.settings.bus_url import BusUrl
from phpgw.time_slices import TimeSlices
from phpgw.timers.turns import Turns


class ClusterParts:
    """The parts of a gateway that is one of several; a :class:`phpgw.node_parts.NodeParts`.

    :param url: of the engine between the gateways.
    :param random_id: returns an id that no other client has.
    :param part: what this process is of its gateway, for people; empty for all of it.
    :ivar membership: tells which nodes there are.
    :ivar exchange: asks other nodes.
    :ivar deaths: declares nodes dead that are known to have ended.
    """

    def __init__(
        self,
        url: BusUrl,
        settings: Settings,
        reactor: Any,
        metrics: Metrics,
        slices: TimeSlices,
        random_id: Callable[[IAddress], str],
        part: str,
    ) -> None:
        self._reactor = reactor
        self._slices = slices
        self._metrics = metrics
        self._random_id = random_id
        self._bus = make_bus(url, settings, reactor)
        tells_disconnects = "disconnect" in settings.events
        lease_clock = partial(time.clock_gettime, time.CLOCK_BOOTTIME)
        membership = Membership(
            reactor,
            self._bus,
            keeps_id=not tells_disconnects,
            lease_clock=lease_clock,
        )
        hub = make_cluster_hub(
            reactor,
            self._bus,
            membership,
            metrics,
            settings.max_groups,
            slices,
            HistoryRules(settings.history),
            lease_clock,
        )
        self.membership = membership
        self.deaths = ReportedDeaths(reactor, self._bus, membership)
        self.registry = hub.registry
        self.commander = hub.commander
        self.directory = hub.directory
        self.history = hub.history
        self.upstreams = hub.upstreams
        self._router = hub.router
        self.upstream_leases: UpstreamLeases = hub.leases
        self.exchange = hub.exchange
        self.nodes: NodeList = ClusterNodeList(
            reactor, self._bus, membership, self.exchange, metrics, part
        )
        self._ledger = NodeLedger(reactor, self._bus, membership) if tells_disconnects else None
        self.ledger: Ledger = self._ledger or NoLedger()
        timer_turns = TimerTurns(reactor, self._bus)
        self.turns: Turns = timer_turns
        state = ClusterState(membership, metrics)
        self.observables: Sequence[Observable] = (
            *observe_bus(self._bus),
            *observe_cluster(state, membership, self.exchange),
        )
        services: list[IService] = [
            self._bus.service,
            self.exchange,
            membership,
            timer_turns,
            hub.leases,
        ]
        if self._ledger is not None:
            services.append(self._ledger)
        self.service: IService = ServiceOrder(services)

    def make_client_id(self, peer: IAddress) -> str:
        """Return the id of a new client: it begins with that of this node."""
        return f"{self.membership.node_id}.{self._random_id(peer)}"

    def attach(self, relay: Relay, connections: Callable[[], Collection[FencedConnection]]) -> None:
        """See ``NodeParts``."""
        if self._ledger is not None:
            Adoption(
                self._bus, self.membership, self._ledger, relay.adopt_disconnect, self._metrics
            )
            fencing = Fencing(self._reactor, self._slices, connections, relay.discard_events)
            self.membership.observers.append(fencing)

    def share_records(self, own: OwnRecords | None) -> RecordsOf:
        """See ``NodeParts``."""
        return ClusterRecords(own, self._router, self.exchange).find

    def hold_control(self, hold: Hold) -> HoldControl:
        """See ``NodeParts``."""
        return ClusterHoldControl(self._bus, self.membership, self.exchange, hold)

    def problem(self) -> str | None:
        """See ``NodeParts``."""
        return self._bus.problem or None
