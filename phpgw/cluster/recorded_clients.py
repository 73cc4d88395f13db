"""Clients and their records: a hash in the engine that is kept like the clients of this node."""

from collections.abc import Callable, Sequence

import attrs
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure

from phpgw.backend.event import Identity
from phpgw.bus.interface import Bus, BusUnavailable, LuaScript
from phpgw.cluster.disconnect_record import encode_record
from phpgw.cluster.keys import DEAD
from phpgw.cluster.members import Members
from phpgw.hub.client import Client
from phpgw.log_limit import line_limit
from phpgw.time_slices import chunks

# How many clients are compared in one turn of the reactor, and how many are written together.
_MAX_COMPARED = 2000
_MAX_WRITTEN = 100

# A node that was declared dead writes nothing: its records may have been adopted already.
WRITE = LuaScript(
    "write",
    """
if redis.call('ZSCORE', KEYS[1], ARGV[1]) then
    return 0
end
redis.call('HSET', KEYS[2], unpack(ARGV, 2))
return 1
""",
)


@attrs.define(eq=False)
class RecordedClients:
    """The clients of one hash in the engine, and what is written there.

    A record that could not be written or deleted is so with the next :meth:`write_changes`.

    :param key: returns the key of the hash, for the id of a node.
    """

    log = Logger(observer=line_limit)

    _reactor: IReactorTime
    _bus: Bus
    _members: Members
    _key: Callable[[str], bytes]
    # The identity that was written; None if that is not certain.
    _written: dict[Client, Identity | None] = attrs.field(factory=dict, init=False)
    # Clients that the engine may have no record of at all.
    _unconfirmed: set[Client] = attrs.field(factory=set, init=False)
    # The ids whose records are to be deleted.
    _deleted: dict[bytes, None] = attrs.field(factory=dict, init=False)
    _is_writing: bool = attrs.field(default=False, init=False)

    def __len__(self) -> int:
        """Return how many clients are recorded."""
        return len(self._written)

    def __contains__(self, client: Client) -> bool:
        """Return whether a client is recorded."""
        return client in self._written

    def ids(self) -> set[bytes]:
        """Return the ids of the clients that are recorded, or whose records are to be deleted."""
        return {client.id.encode() for client in self._written} | self._deleted.keys()

    def add(self, client: Client) -> None:
        """Record a client, unless it is recorded."""
        if client not in self._written:
            self._unconfirmed.add(client)
            self._write([client])

    def note(self, client: Client) -> None:
        """Take a client for recorded, since the engine has written its record."""
        self._written[client] = client.identity

    def remove(self, client: Client) -> None:
        """Delete the record of a client, if there is one."""
        if client in self._written:
            self._forget(client)
            self.delete([client.id.encode()])

    def leave_to_others(self) -> None:
        """Forget the clients that have a record under the old id of this node.

        The others tell PHP of these. Of the rest, nobody else knows: they get records under the new
        id.
        """
        self._written = dict.fromkeys(self._unconfirmed)
        self._deleted.clear()

    def doubt_all(self) -> None:
        """Have :meth:`write_changes` write all records: the engine may have lost them."""
        self._written = dict.fromkeys(self._written)
        self._unconfirmed.update(self._written)

    def write_changes(self) -> None:
        """Write the records of clients that have changed, and what has failed before."""
        if not self._is_writing:
            self._is_writing = True
            writing = Deferred.fromCoroutine(self._write_changes())
            writing.addErrback(self._failed)
            writing.addBoth(self._end_writing)

    async def _write_changes(self) -> None:
        for ids in chunks(list(self._deleted), _MAX_WRITTEN):
            await self.delete(ids)
        for some in chunks(list(self._written), _MAX_COMPARED):
            changed = [each for each in some if self._has_changed(each)]
            for few in chunks(changed, _MAX_WRITTEN):
                # Some may have been removed while others were written.
                await self._write([each for each in few if self._has_changed(each)])
            await deferLater(self._reactor, 0)

    def _has_changed(self, client: Client) -> bool:
        """Return whether a client is recorded otherwise than it should be."""
        return self._written.get(client, client.identity) is not client.identity

    def _end_writing(self, outcome: object) -> None:
        self._is_writing = False

    def _failed(self, failure: Failure) -> None:
        self.log.failure("Records of clients could not be written", failure)

    def _forget(self, client: Client) -> None:
        del self._written[client]
        self._unconfirmed.discard(client)

    def _write(self, clients: Sequence[Client]) -> Deferred[None]:
        """Write records together."""
        if not clients:
            return succeed(None)
        node_id = self._members.node_id
        arguments: list[bytes | int] = [node_id.encode()]
        for client in clients:
            self._written[client] = client.identity
            arguments += client.id.encode(), encode_record(client.identity)
        writing = self._bus.run(WRITE, (DEAD, self._key(node_id)), arguments)
        writing.addErrback(_not_done)
        return writing.addCallback(self._note_written, node_id, clients)

    def _note_written(self, is_done: int, node_id: str, clients: Sequence[Client]) -> None:
        for client in clients:
            if not is_done:
                if client in self._written:
                    self._written[client] = None
            elif node_id == self._members.node_id:
                self._unconfirmed.discard(client)
            elif client in self._unconfirmed:
                # It is among those that the others adopt.
                self._forget(client)

    def delete(self, ids: Sequence[bytes]) -> Deferred[None]:
        """Delete records together."""
        node_id = self._members.node_id
        for each in ids:
            self._deleted.pop(each, None)

        def check(failure: Failure) -> None:
            failure.trap(BusUnavailable)
            if node_id == self._members.node_id:
                self._deleted.update(dict.fromkeys(ids))

        deleting = self._bus.call(b"HDEL", self._key(node_id), *ids)
        return deleting.addCallbacks(lambda _: None, check)


def _not_done(failure: Failure) -> int:
    failure.trap(BusUnavailable)
    return 0
