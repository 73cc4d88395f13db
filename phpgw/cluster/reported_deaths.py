"""Nodes that are known to have ended: they are declared dead without waiting for their leases."""

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure

from phpgw.bus.interface import Bus, BusUnavailable
from phpgw.cluster.keys import CONNECTIONS
from phpgw.cluster.membership import Membership
from phpgw.log_limit import line_limit

# Seconds between two looks at the connection of a node, and looks before it is tried again with
# the next renewal.
_LOOK_INTERVAL = 0.05
_MAX_LOOKS = 20


class ReportedDeaths:
    """Declares nodes dead of whose end somebody is sure: their processes are gone.

    The engine may not have read yet what such a node has asked last, such as to delete the record
    of a client of which PHP was told. So it is declared dead once the engine has noticed the end of
    its connection. If it does not notice, the lease decides, as for any node.

    It is a :class:`phpgw.cluster.membership.LeaseObserver`.
    """

    log = Logger(observer=line_limit)

    def __init__(self, reactor: Any, bus: Bus, membership: Membership) -> None:
        self._reactor = reactor
        self._bus = bus
        self._membership = membership
        self._reported: dict[str, Deferred[None]] = {}
        self._is_declaring = False
        membership.lease_observers.append(self)

    def report(self, node_id: str) -> Deferred[None]:
        """Declare a node dead, as soon as the engine can be asked.

        :returns: fires once it is no member.
        """
        done = self._reported[node_id] = Deferred()
        self._declare_all()
        return done

    # phpgw.cluster.membership.LeaseObserver

    def registered(self) -> None:
        """Do nothing: the renewal follows."""

    def renewed(self, orphans: int) -> None:
        """Try again what has failed."""
        self._declare_all()

    def _declare_all(self) -> None:
        if self._reported and not self._is_declaring:
            self._is_declaring = True
            declaring = Deferred.fromCoroutine(self._declare_each())
            declaring.addErrback(self._failed).addCallback(self._end_declaring)

    async def _declare_each(self) -> None:
        for node_id in [*self._reported]:
            if await self._is_disconnected(node_id):
                await self._membership.retire(node_id)
                self._reported.pop(node_id).callback(None)
        self._membership.renew()

    async def _is_disconnected(self, node_id: str) -> bool:
        """Wait until the engine has noticed the end of a node's connection."""
        label = await self._bus.call(b"HGET", CONNECTIONS, node_id.encode())
        for _ in range(_MAX_LOOKS):
            if not label or not await self._bus.has_connection(label):
                return True
            await deferLater(self._reactor, _LOOK_INTERVAL)
        return False

    def _end_declaring(self, outcome: object) -> None:
        self._is_declaring = False

    def _failed(self, failure: Failure) -> None:
        """Try again with the next renewal; the bus has logged why."""
        failure.trap(BusUnavailable)
