"""The parts that a gateway has in one way if it is alone, and in another as one of several."""

from collections.abc import Callable, Collection, Sequence
from typing import Any, Protocol

from twisted.application.service import IService
from twisted.internet.interfaces import IAddress

from phpgw.history.interface import History
from phpgw.history.memory import MemoryHistory
from phpgw.history.observables import observe_history
from phpgw.hub.commander import Commander
from phpgw.hub.directory import Directory
from phpgw.hub.nodes import NodeList, NoOtherNodes
from phpgw.hub.recorded_events import OwnRecords, RecordsOf
from phpgw.hub.registry import Registry
from phpgw.hub.upstreams import OnlyHolder, UpstreamCommands, UpstreamLeases
from phpgw.observable import Observable
from phpgw.relay.hold import Hold
from phpgw.relay.hold_control import HoldControl, LocalHoldControl
from phpgw.relay.ledger import Ledger, NoLedger
from phpgw.relay.relay import Relay
from phpgw.timers.turns import EveryTurn, Turns


def _no_records(client_id: str, since: float) -> None:
    return None


class NodeParts(Protocol):
    """The parts of a gateway that depend on whether there are others.

    :ivar registry: the clients of this gateway.
    :ivar commander: carries out commands.
    :ivar directory: tells which clients are connected.
    :ivar history: the histories of groups.
    :ivar upstreams: carries out the commands for upstreams.
    :ivar upstream_leases: decides which upstreams this gateway holds.
    :ivar ledger: keeps the disconnects that PHP must be told of.
    :ivar turns: decides which gateway has a run of a timer.
    :ivar observables: the metrics that these parts have the numbers of.
    :ivar nodes: tells which gateways there are.
    :ivar service: starts before all else, and stops after it.
    """

    registry: Registry
    commander: Commander
    directory: Directory
    history: History
    upstreams: UpstreamCommands
    upstream_leases: UpstreamLeases
    ledger: Ledger
    turns: Turns
    observables: Sequence[Observable]
    nodes: NodeList
    service: IService

    @property
    def make_client_id(self) -> Callable[[IAddress], str]:
        """Return the function that returns an id for a new client, given the peer's address."""

    def attach(self, relay: Relay, connections: Callable[[], Collection[Any]]) -> None:
        """Take note of the parts that are made after these.

        :param relay: tells PHP of disconnects.
        :param connections: returns all connections of clients.
        """

    def share_records(self, own: OwnRecords | None) -> RecordsOf:
        """Return what finds the recorded events of a client of any gateway.

        :param own: finds those of a client of this one; ``None`` if it records none.
        """

    def hold_control(self, hold: Hold) -> HoldControl:
        """Return what begins and ends holds, given the hold of this gateway."""

    def problem(self) -> str | None:
        """Return why other gateways cannot be reached; ``None`` if nothing is wrong."""


class SingleParts:
    """The parts of a gateway that is alone."""

    def __init__(
        self,
        registry: Registry,
        commander: Commander,
        directory: Directory,
        make_client_id: Callable[[IAddress], str],
        history: MemoryHistory,
        upstreams: UpstreamCommands,
    ) -> None:
        self.registry = registry
        self.commander = commander
        self.directory = directory
        self.ledger: Ledger = NoLedger()
        self.turns: Turns = EveryTurn()
        self.make_client_id = make_client_id
        self.history: History = history
        self.upstreams = upstreams
        self.upstream_leases: UpstreamLeases = OnlyHolder()
        self.observables: Sequence[Observable] = observe_history(history)
        self.nodes: NodeList = NoOtherNodes()
        self.service: IService = history

    def attach(self, relay: Relay, connections: Callable[[], Collection[Any]]) -> None:
        """Do nothing."""

    def share_records(self, own: OwnRecords | None) -> RecordsOf:
        """Return what finds those of this gateway."""
        return own or _no_records

    def hold_control(self, hold: Hold) -> HoldControl:
        """Return the control of one hold."""
        return LocalHoldControl(hold)

    def problem(self) -> None:
        """Return ``None``: there are no others."""
