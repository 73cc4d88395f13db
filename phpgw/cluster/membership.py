"""The membership: the lease of this node, and which nodes there are.

A node renews its lease every two seconds. All times are those of the engine's clock, so the clocks
of the nodes do not matter. The first node that finds another one's lease lapsed declares that node
dead, which leaves a tombstone. A node that was only stopped for a while finds its own tombstone.
"""

from collections.abc import Callable, Set
from secrets import token_hex
from typing import Any, Protocol

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from phpgw.bus.interface import Bus, BusUnavailable, LuaScript, ReplicasAway
from phpgw.cluster.frames import SPOKEN
from phpgw.cluster.keys import (
    CONNECTIONS,
    DEAD,
    NODES,
    ORPHANS,
    VERSIONS,
    adopted_key,
    ledger_key,
)
from phpgw.cluster.members import MemberObserver
from phpgw.log_limit import line_limit

# Seconds for which a lease lasts, and after which it is renewed.
LEASE_SECONDS = 10
RENEWAL_INTERVAL = 2
# Seconds before its end in which a node does not rely on its lease any more.
_MARGIN = 2
# Seconds for which a master goes on to take data that its replicas do not get: as many as
# min-replicas-max-lag should be, and one more, since it looks at them once a second.
_UNREPLICATED_SECONDS = 4
# If no node has renewed its lease for so many seconds, the engine was away, and not the nodes.
_OUTAGE_SECONDS = 5
_TOMBSTONE_SECONDS = 24 * 3600
# Random bytes of a node's id. No id is used twice, even if thousands of nodes start in a day.
_ID_BYTES = 6
# The version of frames that a node speaks if it has registered none.
_FIRST_VERSION = 1

RENEW = LuaScript(
    "renew",
    """
local nodes, dead, connections, versions, orphans, ledgers, adopted = unpack(KEYS)
local node, keeps_id, connection, version = ARGV[1], ARGV[2], ARGV[6], ARGV[7]
local lease, outage, tombstone = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

-- First what needs no memory: then an engine that is full does the rest, too.
redis.call('ZREMRANGEBYSCORE', dead, '-inf', now - tombstone)

if redis.call('ZSCORE', dead, node) then
    if keeps_id == '0' then
        return {0}
    end
    redis.call('ZREM', dead, node)
end

-- If the engine was away, or its clock was set, each node has a whole lease from now on.
local newest = tonumber(redis.call('ZRANGE', nodes, -1, -1, 'WITHSCORES')[2] or now)
if newest > now or newest < now - outage then
    for _, each in ipairs(redis.call('ZRANGE', nodes, 0, -1)) do
        redis.call('ZADD', nodes, now, each)
    end
end
local is_new = redis.call('ZADD', nodes, now, node)
redis.call('HSET', connections, node, connection)
redis.call('HSET', versions, node, version)

local left_behind = {}
for _, each in ipairs(redis.call('ZRANGEBYSCORE', nodes, '-inf', now - lease)) do
    redis.call('ZREM', nodes, each)
    redis.call('ZADD', dead, now, each)
    table.insert(left_behind, redis.call('HGET', connections, each) or nil)
    redis.call('HDEL', connections, each)
    redis.call('HDEL', versions, each)
    if redis.call('EXISTS', ledgers .. each, adopted .. each) > 0 then
        redis.call('SADD', orphans, each)
    end
end

local ended = {}
for i = 8, #ARGV do
    if redis.call('ZSCORE', dead, ARGV[i]) then
        table.insert(ended, ARGV[i])
    end
end
local orphan_count = redis.call('SCARD', orphans)
local live = redis.call('ZRANGE', nodes, 0, -1)
local spoken = redis.call('HMGET', versions, unpack(live))
return {1, is_new, live, ended, orphan_count, left_behind, spoken}
""",
)

RESIGN = LuaScript(
    "resign",
    """
local nodes, dead, connections, versions, orphans, ledger, adopted = unpack(KEYS)
local time = redis.call('TIME')
redis.call('ZREM', nodes, ARGV[1])
redis.call('HDEL', connections, ARGV[1])
redis.call('HDEL', versions, ARGV[1])
redis.call('ZADD', dead, time[1] * 1000, ARGV[1])
if redis.call('EXISTS', ledger, adopted) > 0 then
    redis.call('SADD', orphans, ARGV[1])
end
""",
)


class LeaseObserver(Protocol):
    """Somebody who is told about the lease of this node."""

    def registered(self) -> None:
        """Note that the engine knows this node (again), and may have lost all else."""

    def renewed(self, orphans: int) -> None:
        """Note that the lease was renewed.

        :param orphans: how many nodes have ended whose ledgers nobody has adopted whole.
        """


def new_node_id() -> str:
    """Return an id that no other node has, in lower-case hexadecimal digits."""
    return token_hex(_ID_BYTES)


class Membership(Service):
    """A service that keeps this node a member; see :class:`phpgw.cluster.members.Members`.

    :param lease_clock: returns the time in seconds, by a clock that goes on while the machine is
        suspended; by default, that of the reactor.
    :param keeps_id: whether this node is the same as before after it was declared dead. If not,
        since PHP was told that all its clients have disconnected, it gets a new id.
    :param spoken: the versions of frames that this node speaks.
    :ivar observers: who is told of changes, in this order.
    :ivar lease_observers: who is told about the lease, in this order.
    :ivar node_id: the id of this node.
    :ivar live: the ids of the nodes that have a lease, as far as is known, with this one's.
    :ivar version: the newest version of frames that all of them speak.
    :ivar times_declared_dead: how often the others took this node for dead, and it has a new id.
    """

    log = Logger(observer=line_limit)

    def __init__(
        self,
        reactor: IReactorTime,
        bus: Bus,
        *,
        keeps_id: bool,
        lease_clock: Callable[[], float] | None = None,
        spoken: range = SPOKEN,
    ) -> None:
        self._now = lease_clock or reactor.seconds
        self._bus = bus
        self._keeps_id = keeps_id
        self.spoken = spoken
        self.observers: list[MemberObserver] = []
        self.lease_observers: list[LeaseObserver] = []
        self.node_id = new_node_id()
        self.live = frozenset({self.node_id})
        # The newest version that each of them speaks.
        self._versions: dict[str, int] = {}
        # The oldest one, until it is known who is there.
        self.version = spoken[0]
        self.times_declared_dead = 0
        # When nodes were first missing from those with a lease, without having ended.
        self._missing_since: dict[str, float] = {}
        self._renewed_at: float | None = None
        # When the last renewal was asked for that the engine has accepted or refused.
        self._in_touch_at: float | None = None
        self._lost_at: float | None = None
        # Whether the engine's replicas may not know of the last renewals.
        self._is_unreplicated = False
        self._is_registered = self._is_renewing = False
        self._renewals = LoopingCall(self.renew)
        self._renewals.clock = reactor
        bus.observers.append(self)

    @property
    def is_in_doubt(self) -> bool:
        """Return whether the other nodes may have declared this one dead.

        While the engine is away, no node can do that. So the last moment counts in which it was
        there.
        """
        if self._renewed_at is None:
            return False
        until = self._now() if self._lost_at is None else self._lost_at
        if self._is_unreplicated:
            # One of the replicas may be the master of the others by now.
            until += _UNREPLICATED_SECONDS
        return until - self._renewed_at >= LEASE_SECONDS - _MARGIN

    @property
    def is_in_touch(self) -> bool:
        """See ``Members``. An engine that is full lets nobody declare others dead."""
        in_touch_at = self._in_touch_at
        return in_touch_at is None or self._now() - in_touch_at < LEASE_SECONDS - _MARGIN

    def startService(self) -> None:
        """Become a member."""
        super().startService()
        self._renewals.start(RENEWAL_INTERVAL)

    def stopService(self) -> Deferred[None]:
        """Be a member no longer. The others adopt what is left in the ledger of this node.

        :returns: fires when they know, or cannot be told.
        """
        super().stopService()
        self._renewals.stop()
        self._bus.observers.remove(self)
        return self.retire(self.node_id).addErrback(self._not_resigned)

    def retire(self, node_id: str) -> Deferred[None]:
        """Have a node be a member no longer, whose process has ended, or does nothing any more.

        :returns: fails with :exc:`phpgw.bus.interface.BusUnavailable`.
        """
        records = ledger_key(node_id), adopted_key(node_id)
        keys = NODES, DEAD, CONNECTIONS, VERSIONS, ORPHANS, *records
        return self._bus.run(RESIGN, keys, [node_id.encode()]).addCallback(lambda _: None)

    # phpgw.bus.interface.BusObserver

    def connected(self) -> None:
        """Register at an engine that may have lost all."""
        self._is_registered = False
        self._lost_at = None
        if self.running:
            self.renew()

    def lost(self, reason: str) -> None:
        """Note when the engine was there last."""
        self._lost_at = self._now()

    def received(self, channel: bytes, frame: bytes) -> None:
        """Do nothing: no frame is for the membership."""

    # The lease

    def renew(self) -> None:
        """Renew the lease, and find out which nodes there are."""
        if self._is_renewing or self._lost_at is not None:
            return
        self._is_renewing = True
        arguments: list[bytes | int] = [self.node_id.encode(), int(self._keeps_id)]
        arguments += (1000 * each for each in (LEASE_SECONDS, _OUTAGE_SECONDS, _TOMBSTONE_SECONDS))
        arguments += self._bus.connection_label, self.spoken[-1]
        arguments += (each.encode() for each in self.live - {self.node_id})
        keys = NODES, DEAD, CONNECTIONS, VERSIONS, ORPHANS, ledger_key(), adopted_key()
        renewing = self._bus.run(RENEW, keys, arguments)
        now = self._now()
        renewing.addCallbacks(self._replied, self._failed, (now,), errbackArgs=(now,))
        renewing.addErrback(lambda failure: self.log.failure("The lease is in disorder", failure))

    def _replied(self, reply: list[Any], asked_at: float) -> None:
        self._is_renewing = False
        if not self.running:
            return
        if not reply[0]:
            self._take_new_id()
            return
        _, is_new, nodes, ended, orphans, left_behind, spoken = reply
        for label in left_behind:
            self._bus.end_connection(label).addErrback(self._not_ended)
        self._renewed_at = self._in_touch_at = asked_at
        self._is_unreplicated = False
        if is_new or not self._is_registered:
            self._is_registered = True
            for each in self.lease_observers:
                each.registered()
        versions = {
            node.decode(): int(version or _FIRST_VERSION)
            for node, version in zip(nodes, spoken, strict=True)
        }
        self._find_left(versions.keys(), {node.decode() for node in ended})
        self._find_version(versions)
        for each in self.lease_observers:
            each.renewed(orphans)

    def _failed(self, failure: Failure, asked_at: float) -> None:
        """Try again later, or with the next connection; the bus has logged why."""
        self._is_renewing = False
        failure.trap(BusUnavailable)
        assert isinstance(failure.value, BusUnavailable)
        if failure.check(ReplicasAway):
            self._is_unreplicated = True
        if self._lost_at is None and not failure.value.may_be_done:
            self._in_touch_at = asked_at

    def _take_new_id(self) -> None:
        """Go on as another node, since this one was declared dead."""
        before, self.node_id = self.node_id, new_node_id()
        self.times_declared_dead += 1
        self.log.error(
            "This node, {before}, was stopped or cut off for more than {seconds} s, so the others "
            "have taken it for dead, and PHP was told that its clients have left: they are closed, "
            "and it goes on as node {node_id}",
            before=before,
            seconds=LEASE_SECONDS,
            node_id=self.node_id,
        )
        self._renewed_at = self._in_touch_at = None
        self._is_registered = self._is_unreplicated = False
        self.live = self.live - {before} | {self.node_id}
        for observer in self.observers:
            observer.renamed(before)
        self.renew()

    def _find_left(self, nodes: Set[str], ended: set[str]) -> None:
        """Compare the nodes with those before, and tell which have left.

        An engine that has lost all knows a node again once that has connected anew: it has not left
        before it has had the time of a lease for that.
        """
        now = self._now()
        missing = self.live - nodes - ended
        self._missing_since = {each: self._missing_since.get(each, now) for each in missing}
        awaited = {each for each in missing if now - self._missing_since[each] < LEASE_SECONDS}
        before, self.live = self.live, frozenset(nodes | awaited)
        for node_id in sorted(before - self.live):
            self.log.warn("Node {node_id} has left", node_id=node_id)
            for observer in self.observers:
                observer.left(node_id)
        for node_id in sorted(self.live - before):
            self.log.info("Node {node_id} has joined", node_id=node_id)

    def _find_version(self, versions: dict[str, int]) -> None:
        """Find the version that all nodes speak; those that have to register again do so, too."""
        known = self._versions | versions
        self._versions = {each: known[each] for each in self.live}
        self.version = max(min(self._versions.values()), self.spoken[0])

    def _not_ended(self, failure: Failure) -> None:
        """Go on: pushes take longer until the engine notices that nobody reads there."""
        failure.trap(BusUnavailable)
        self.log.info(
            "The connection of a dead node stays: {reason}", reason=failure.getErrorMessage()
        )

    def _not_resigned(self, failure: Failure) -> None:
        failure.trap(BusUnavailable)
        self.log.info(
            "The others do not know yet that node {node_id} has ended: {reason}",
            node_id=self.node_id,
            reason=failure.getErrorMessage(),
        )
