"""The ledger of a node: which disconnects it owes PHP, written down in the engine.

Each client that is admitted has a record there until PHP was told that it has disconnected. If the
node dies, the others adopt its records (:mod:`phpgw.cluster.adoption`).
"""

from collections.abc import Callable
from hashlib import blake2b

from twisted.application.service import Service
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall

from phpgw.bus.interface import Bus
from phpgw.cluster.keys import adopted_key, ledger_key
from phpgw.cluster.membership import Membership
from phpgw.cluster.recorded_clients import RecordedClients
from phpgw.hub.client import Client

# Seconds after which the user, the state and the cookies of a client are written once they have
# changed: some change with each message.
_WRITE_INTERVAL = 0.5
# Bytes of the ids of events. They are made of the ids of clients, which are never used again.
_EVENT_ID_BYTES = 8


class NodeLedger(Service):
    """The ledger of a node; see :class:`phpgw.relay.ledger.Ledger`.

    :ivar own: the clients of this node.
    :ivar adopted: clients of nodes that have ended, of which this node is to tell PHP.
    :ivar adopted_settled: called when PHP was told of one of these.
    """

    def __init__(self, reactor: IReactorTime, bus: Bus, membership: Membership) -> None:
        self._bus = bus
        self._membership = membership
        self.own = RecordedClients(reactor, bus, membership, ledger_key)
        self.adopted = RecordedClients(reactor, bus, membership, adopted_key)
        self.adopted_settled: Callable[[], None] = lambda: None
        self._writing = LoopingCall(self._write_changes)
        self._writing.clock = reactor
        membership.observers.append(self)
        membership.lease_observers.append(self)

    def startService(self) -> None:
        """Begin to write what changes."""
        super().startService()
        self._writing.start(_WRITE_INTERVAL)

    def stopService(self) -> None:
        """Write no more changes."""
        super().stopService()
        self._writing.stop()

    # phpgw.relay.ledger.Ledger

    @property
    def is_in_doubt(self) -> bool:
        """Return whether the others may have adopted the records of this node."""
        return self._membership.is_in_doubt

    def enter(self, client: Client) -> None:
        """Write down that PHP must be told when a client disconnects."""
        self.own.add(client)

    def is_owed(self, client: Client) -> bool:
        """Return whether the record of a client is with this node."""
        return client in self.own or client in self.adopted

    def event_id(self, client: Client) -> str:
        """Return the id of the event that tells PHP of a disconnect, the same on each node."""
        return blake2b(client.id.encode(), digest_size=_EVENT_ID_BYTES).hexdigest()

    def settle(self, client: Client) -> None:
        """Delete the record of a client."""
        self.own.remove(client)
        if client in self.adopted:
            self.adopted.remove(client)
            self.adopted_settled()

    # phpgw.cluster.membership.LeaseObserver, phpgw.cluster.members.MemberObserver

    def registered(self) -> None:
        """Write all records, since the engine may have lost them."""
        self.own.doubt_all()
        self.adopted.doubt_all()
        self._write_changes()

    def renewed(self, orphans: int) -> None:
        """Do nothing."""

    def left(self, node_id: str) -> None:
        """Do nothing: the lease's observers hear of records without a node."""

    def renamed(self, before: str) -> None:
        """Owe PHP only what was never written down: the others have adopted all else."""
        self.own.leave_to_others()
        self.adopted.leave_to_others()

    def _write_changes(self) -> None:
        if not self._bus.problem:
            self.own.write_changes()
            self.adopted.write_changes()
