"""The recorded events of clients, wherever they are: each node keeps those of its own clients."""

from typing import Any

from twisted.internet.defer import Deferred

from phpgw.cluster.exchange import Exchange, NodeGone, NotAnswered
from phpgw.cluster.routes import Router
from phpgw.hub.directory import NotKnown
from phpgw.hub.recorded_events import OwnRecords, Records

_RECORDS = "records"
# Bytes of texts that a node answers with, at most; older events are left out.
_MAX_SIZE = 1024**2
_TEXTS = ("message", "reply", "problem")


class ClusterRecords:
    """Finds the recorded events of clients of all nodes.

    :param own: returns those of a client of this node; ``None`` if it records none.
    """

    def __init__(self, own: OwnRecords | None, router: Router, exchange: Exchange) -> None:
        self._own = own
        self._router = router
        self._exchange = exchange
        exchange.handlers[_RECORDS] = self._find_for_another

    def find(self, client_id: str, since: float) -> Records | Deferred[Records | None] | None:
        """Return the recorded events of a client; see ``RecordsOf``."""
        node = self._router.node_of(client_id)
        if node is None:
            return None if self._own is None else self._own(client_id, since)
        return Deferred.fromCoroutine(self._ask(node, client_id, since))

    async def _ask(self, node: str, client_id: str, since: float) -> Records | None:
        try:
            records = await self._exchange.ask(node, _RECORDS, [client_id, since])
        except NodeGone:
            return []
        except NotAnswered as error:
            raise NotKnown(str(error)) from None
        match records:
            case None | [*_]:
                return records
        raise NotKnown(f"node {node} has answered with something else than events")

    def _find_for_another(self, sender: str, arguments: list[Any]) -> Any:
        client_id, since = arguments
        if self._own is None:
            return None
        size = 0
        found = []
        for record in self._own(client_id, since):
            size += sum(len(record[name] or "") for name in _TEXTS)
            if size > _MAX_SIZE:
                break
            found.append(record)
        return found
