"""Adoption: PHP is told of the disconnects that a node owed when it ended.

Each record is adopted by one of the other nodes, since the engine moves it from one hash to another
in one step. If that node dies, too, its records are adopted in the same way. A node adopts a few at
a time, so that all nodes take part, and stops while its PHP is away.
"""

from collections.abc import Callable, Mapping

from twisted.logger import Logger
from twisted.python.failure import Failure

from phpgw.bus.interface import Bus, BusUnavailable, LuaScript
from phpgw.cluster.disconnect_record import InvalidRecord, decode_record
from phpgw.cluster.keys import ORPHANS, adopted_key, ledger_key
from phpgw.cluster.ledger import NodeLedger
from phpgw.cluster.membership import Membership
from phpgw.hub.client import NO_CONNECTION, Client
from phpgw.log_limit import line_limit
from phpgw.metrics import Metrics

# How many records are adopted at a time, once no more than half of them are left.
_MAX_ADOPTED = 100
# The code for a connection that has ended without a close frame (RFC 6455, section 7.1.5).
_ABNORMAL_CLOSURE = 1006

ADOPT = LuaScript(
    "adopt",
    """
local orphans, ledgers, adopted, own = unpack(KEYS)
local left = tonumber(ARGV[1])
local found = {}
for _, node in ipairs(redis.call('SMEMBERS', orphans)) do
    for _, key in ipairs({adopted .. node, ledgers .. node}) do
        local records = left > 0 and redis.call('HRANDFIELD', key, left, 'WITHVALUES') or {}
        for i = 1, #records, 2 do
            redis.call('HDEL', key, records[i])
            redis.call('HSET', own, records[i], records[i + 1])
            table.insert(found, records[i])
            table.insert(found, records[i + 1])
            left = left - 1
        end
    end
    if redis.call('EXISTS', adopted .. node, ledgers .. node) == 0 then
        redis.call('SREM', orphans, node)
    end
end
return found
""",
)


class Adoption:
    """Adopts what nodes that have ended owed PHP.

    It is a :class:`phpgw.cluster.membership.LeaseObserver`.

    :param tell: tells PHP of the disconnect of a client, with close code and reason.
    """

    log = Logger(observer=line_limit)

    def __init__(
        self,
        bus: Bus,
        membership: Membership,
        ledger: NodeLedger,
        tell: Callable[[Client, int, str], None],
        metrics: Metrics,
    ) -> None:
        self._bus = bus
        self._membership = membership
        self._ledger = ledger
        self._tell = tell
        self._metrics = metrics
        self._is_adopting = self._is_more_left = False
        membership.lease_observers.append(self)
        ledger.adopted_settled = self._adopt_more

    def registered(self) -> None:
        """Find what was adopted when the reply of the engine was lost."""
        node_id = self._membership.node_id
        found = self._bus.call(b"HGETALL", adopted_key(node_id))
        found.addCallback(lambda records: self._take(node_id, records))
        found.addErrback(self._failed)

    def renewed(self, orphans: int) -> None:
        """Adopt some records, if there are any."""
        if orphans:
            self._is_more_left = True
            self._adopt_more()

    def _adopt_more(self) -> None:
        """Adopt some records, unless enough of them wait for PHP."""
        if (
            not self._is_more_left
            or self._is_adopting
            or len(self._ledger.adopted) > _MAX_ADOPTED // 2
        ):
            return
        self._is_adopting = True
        node_id = self._membership.node_id
        keys = ORPHANS, ledger_key(), adopted_key(), adopted_key(node_id)
        adopting = self._bus.run(ADOPT, keys, [_MAX_ADOPTED])
        adopting.addCallback(lambda reply: self._adopted(node_id, reply))
        adopting.addErrback(self._failed)

    def _adopted(self, node_id: str, reply: list[bytes]) -> None:
        self._is_adopting = False
        self._is_more_left = len(reply) == 2 * _MAX_ADOPTED
        self._take(node_id, dict(zip(reply[::2], reply[1::2], strict=True)))

    def _failed(self, failure: Failure) -> None:
        """Try again with the next renewal."""
        self._is_adopting = self._is_more_left = False
        failure.trap(BusUnavailable)

    def _take(self, node_id: str, records: Mapping[bytes, bytes]) -> None:
        """Tell PHP of clients that this node has adopted, unless it has a new id since."""
        if node_id != self._membership.node_id:
            return
        known = self._ledger.adopted.ids()
        clients = [
            client
            for client_id, record in records.items()
            if client_id not in known and (client := self._client(client_id, record)) is not None
        ]
        if clients:
            self.log.info(
                "PHP is told of {count} clients whose node has ended, such as {client_id}",
                count=len(clients),
                client_id=clients[0].id,
            )
        self._metrics.disconnects_adopted += len(clients)
        # All of them first: to tell of one may settle it, and adopt more.
        for client in clients:
            self._ledger.adopted.note(client)
        for client in clients:
            self._tell(client, _ABNORMAL_CLOSURE, "")

    def _client(self, client_id: bytes, record: bytes) -> Client | None:
        """Return the client of a record; ``None`` if it cannot be read, which is logged."""
        try:
            return Client(decode_record(client_id, record), NO_CONNECTION)
        except InvalidRecord as error:
            self._metrics.disconnects_lost += 1
            self.log.error(
                "PHP will never know that client {client_id} has left: {reason}",
                client_id=client_id.decode(errors="backslashreplace"),
                reason=str(error),
            )
            self._ledger.adopted.delete([client_id])
            return None
