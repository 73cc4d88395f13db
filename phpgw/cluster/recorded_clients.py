"""Clients and their records: a hash in the engine that is kept like the clients of this node."""

from collections.abc import Callable, Iterable, Sequence

import attrs
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure

from phpgw.backend.event import Identity
from phpgw.bus.interface import Bus, BusUnavailable
from phpgw.cluster.disconnect_record import encode_record
from phpgw.hub.client import Client
from phpgw.log_limit import line_limit
from phpgw.time_slices import chunks

# How many clients are compared in one turn of the reactor, and how many are written together.
_MAX_COMPARED = 2000
_MAX_WRITTEN = 100


@attrs.define(eq=False)
class RecordedClients:
    """The clients of one hash in the engine, and what is written there.

    A record that could not be written or deleted is so with the next :meth:`write_changes`.

    :param key: returns the key of the hash.
    """

    log = Logger(observer=line_limit)

    _reactor: IReactorTime
    _bus: Bus
    _key: Callable[[], bytes]
    # The identity that was written; None if that is not certain.
    _written: dict[Client, Identity | None] = attrs.field(factory=dict, init=False)
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
            self._write([client])

    def note(self, client: Client) -> None:
        """Take a client for recorded, since another has written its record."""
        self._written[client] = client.identity

    def remove(self, client: Client) -> None:
        """Delete the record of a client, if there is one."""
        if client in self._written:
            del self._written[client]
            self._delete([client.id.encode()])

    def forget(self, client_id: bytes) -> None:
        """Delete a record that is of no use."""
        self._delete([client_id])

    def clear(self) -> None:
        """Forget all clients, and leave the hash to others."""
        self._written.clear()
        self._deleted.clear()

    def doubt_all(self) -> None:
        """Have :meth:`write_changes` write all records: the engine may have lost them."""
        for client in self._written:
            self._written[client] = None

    def write_changes(self) -> None:
        """Write the records of clients that have changed, and what has failed before."""
        if not self._is_writing:
            self._is_writing = True
            writing = Deferred.fromCoroutine(self._write_changes())
            writing.addErrback(self._failed)
            writing.addBoth(self._end_writing)

    async def _write_changes(self) -> None:
        for ids in chunks(list(self._deleted), _MAX_WRITTEN):
            await self._delete(ids)
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

    def _write(self, clients: list[Client]) -> Deferred[None]:
        """Write records together."""
        pairs: list[bytes] = []
        identities = [client.identity for client in clients]
        for client, identity in zip(clients, identities, strict=True):
            self._written[client] = identity
            pairs += client.id.encode(), encode_record(identity)
        return self._call(b"HSET", pairs, lambda: self._not_written(clients))

    def _not_written(self, clients: Iterable[Client]) -> None:
        for client in clients:
            if client in self._written:
                self._written[client] = None

    def _delete(self, ids: Sequence[bytes]) -> Deferred[None]:
        """Delete records together."""
        for each in ids:
            self._deleted.pop(each, None)
        return self._call(b"HDEL", ids, lambda: self._deleted.update(dict.fromkeys(ids)))

    def _call(
        self, command: bytes, arguments: Sequence[bytes], failed: Callable[[], None]
    ) -> Deferred[None]:
        """Have the engine change the hash; remember what it has not done, unless that is over."""
        key = self._key()

        def check(failure: Failure) -> None:
            failure.trap(BusUnavailable)
            if key == self._key():
                failed()

        if not arguments:
            return succeed(None)
        return self._bus.call(command, key, *arguments).addCallbacks(lambda _: None, check)
