"""The leases of upstreams: each is held by one node, and by another one when that dies.

A node that cannot renew a lease ends the connection before the lease lapses, by a clock that goes
on while the machine is suspended. PHP gets the fence with each event: a number that grows with each
lease, so that it can tell what comes from a node that does not know yet that it has lost one.
"""

from collections.abc import Callable, Collection
from math import ceil
from secrets import token_hex
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from phpgw.bus.interface import Bus, BusUnavailable, LuaScript
from phpgw.cluster.channels import upstream_channel
from phpgw.cluster.keys import UPSTREAM_FENCES, UPSTREAMS, upstream_lease_key
from phpgw.cluster.members import Members
from phpgw.hub.upstreams import UpstreamHolder
from phpgw.log_limit import line_limit

# Seconds for which a lease lasts, and after which it is renewed.
_LEASE_SECONDS = 10.0
_RENEWAL_SECONDS = 3.0
# Seconds before its end in which a lease is not relied on any more.
_MARGIN = 2.0
_CHECK_INTERVAL = 0.5
_TOKEN_BYTES = 8

HOLD = LuaScript(
    "hold_upstreams",
    """
local definitions, fences, leases = unpack(KEYS)
local token, lease, nodes = ARGV[1], ARGV[2], tonumber(ARGV[3])
-- One count for all names: one that is opened again goes on, though its own number is forgotten.
-- It begins with the time in seconds, so that it grows also if the engine has lost its data.
local function new_fence(name)
    redis.call('HSETNX', fences, '', redis.call('TIME')[1])
    local fence = redis.call('HINCRBY', fences, '', 1)
    redis.call('HSET', fences, name, fence)
    return fence
end
local texts, names = {}, {}
local known = redis.call('HGETALL', definitions)
for i = 1, #known, 2 do
    texts[known[i]] = known[i + 1]
    table.insert(names, known[i])
end
for i = 4, #ARGV do
    if not texts[ARGV[i]] then
        table.insert(names, ARGV[i])
    end
end
-- Not all at once, so that nodes that start together have about as many each.
local left = math.ceil(#names / nodes)
local found = {#names}
for _, name in ipairs(names) do
    -- An empty text: PHP has closed it.
    if texts[name] ~= '' then
        local holder = redis.call('GET', leases .. name)
        local fence = nil
        if holder == token then
            redis.call('PEXPIRE', leases .. name, lease)
            fence = redis.call('HGET', fences, name) or new_fence(name)
        elseif not holder and left > 0 then
            left = left - 1
            redis.call('SET', leases .. name, token, 'PX', lease)
            fence = new_fence(name)
        end
        if fence then
            table.insert(found, {name, tonumber(fence), texts[name] or false})
        end
    end
end
return found
""",
)

END = LuaScript(
    "end_upstream",
    """
local definitions, fences, lease = unpack(KEYS)
local name, token, is_named, text = unpack(ARGV)
-- With a text: PHP may have defined another one meanwhile.
if text and redis.call('HGET', definitions, name) ~= text then
    return
end
if is_named == '1' then
    redis.call('HSET', definitions, name, '')
else
    redis.call('HDEL', definitions, name)
    redis.call('HDEL', fences, name)
end
if redis.call('GET', lease) == token then
    redis.call('DEL', lease)
end
""",
)

YIELD = LuaScript(
    "yield_upstreams",
    """
for i, lease in ipairs(KEYS) do
    if redis.call('GET', lease) == ARGV[1] then
        redis.call('DEL', lease)
    end
end
""",
)


class NodeUpstreamLeases(Service):
    """Holds upstreams for this node; a :class:`phpgw.hub.upstreams.UpstreamLeases`.

    :param lease_clock: returns the time in seconds, by a clock that goes on while the machine is
        suspended; by default, that of the reactor.
    """

    log = Logger(observer=line_limit)

    def __init__(
        self,
        reactor: IReactorTime,
        bus: Bus,
        members: Members,
        lease_clock: Callable[[], float] | None = None,
    ) -> None:
        self._now = lease_clock or reactor.seconds
        self._bus = bus
        self._members = members
        self._token = token_hex(_TOKEN_BYTES).encode()
        self._holder: UpstreamHolder | None = None
        self._names: Collection[str] = ()
        # The definition and the fence of each upstream that this node holds.
        self._held: dict[str, tuple[str | None, int]] = {}
        self._count = 0
        # Definitions that are being written.
        self._writing = 0
        # Those that have ended since the engine was asked, whose reply does not know that.
        self._ended: set[str] = set()
        self._renewed_at = self._asked_at = float("-inf")
        # Whether PHP has said something since the engine was asked.
        self._is_asking = self._is_due = False
        self._checks = LoopingCall(self._check)
        self._checks.clock = reactor

    @property
    def count(self) -> int:
        """Return how many upstreams there are on all nodes, as far as is known."""
        return self._count + self._writing

    def is_here(self, name: str) -> bool:
        """Return whether this node holds an upstream."""
        return name in self._held

    def start(self, holder: UpstreamHolder, names: Collection[str]) -> None:
        """Begin to hold upstreams."""
        self._holder, self._names = holder, names
        self._checks.start(_CHECK_INTERVAL)

    def stop(self) -> None:
        """Let others hold what this node holds, whose connections have ended."""
        if self._checks.running:
            self._checks.stop()
        self._holder = None
        held, self._held = self._held, {}
        for name in held:
            self._bus.unsubscribe(upstream_channel(name))
        if held:
            # If that fails, the leases lapse.
            keys = [upstream_lease_key(name) for name in held]
            self._bus.run(YIELD, keys, [self._token]).addErrback(self._not_done)

    def stopService(self) -> None:
        """Hold none any longer."""
        super().stopService()
        self.stop()

    def define(self, name: str, definition: str | None) -> str | None:
        """Let an upstream be held by a node."""
        if self._bus.problem:
            return self._bus.problem
        if definition is None:
            writing = self._bus.call(b"HDEL", UPSTREAMS, name.encode())
        else:
            writing = self._write(name, definition)
        writing.addCallbacks(lambda _: self._ask(), self._not_done)
        return None

    def _write(self, name: str, definition: str) -> Deferred[None]:
        """Write a definition, which counts before the engine has been asked again."""
        self._writing += 1

        def written(outcome: Any) -> Any:
            self._writing -= 1
            return outcome

        def count(added: int) -> None:
            self._count += added

        writing = self._bus.call(b"HSET", UPSTREAMS, name.encode(), definition.encode())
        return writing.addBoth(written).addCallback(count)

    def end(self, name: str) -> None:
        """Let an upstream that is held here be held by nobody."""
        self._end(name)

    def finished(self, name: str) -> None:
        """Forget an upstream whose only connection has ended."""
        definition, _ = self._held.get(name, (None, 0))
        if definition is not None:
            self._end(name, definition.encode())

    def _end(self, name: str, *text: bytes) -> None:
        self._held.pop(name, None)
        self._ended.add(name)
        self._bus.unsubscribe(upstream_channel(name))
        keys = UPSTREAMS, UPSTREAM_FENCES, upstream_lease_key(name)
        is_named = int(name in self._names)
        arguments: list[bytes | int] = [name.encode(), self._token, is_named, *text]
        # There may be room for another one now, or PHP may have defined it anew.
        self._bus.run(END, keys, arguments).addCallbacks(lambda _: self._ask(), self._not_done)

    def _check(self) -> None:
        """Release what cannot be renewed in time, and renew the rest."""
        now = self._now()
        if self._held and now - self._renewed_at >= _LEASE_SECONDS - _MARGIN:
            self.log.warn(
                "This node ends its connections to {count} upstreams, since it cannot renew its "
                "leases: {reason}",
                count=len(self._held),
                reason=self._bus.problem or "it was stopped, or the engine does not reply",
            )
            for name in [*self._held]:
                self._release(name)
        if now - self._asked_at >= _RENEWAL_SECONDS:
            self._ask()

    def _ask(self) -> None:
        """Renew the leases, and take those that nobody has."""
        if self._is_asking or self._holder is None:
            self._is_due = self._is_asking
            return
        self._is_asking, self._is_due = True, False
        self._ended.clear()
        now = self._asked_at = self._now()
        nodes = max(1, len(self._members.live))
        lease = ceil(_LEASE_SECONDS * 1000)
        arguments: list[bytes | int] = [self._token, lease, nodes]
        arguments += (name.encode() for name in self._names)
        keys = UPSTREAMS, UPSTREAM_FENCES, upstream_lease_key()
        asking = self._bus.run(HOLD, keys, arguments)
        asking.addCallbacks(self._replied, self._failed, (now,))
        asking.addErrback(lambda failure: self.log.failure("Leases are in disorder", failure))

    def _replied(self, reply: list[Any], asked_at: float) -> None:
        self._is_asking = False
        holder = self._holder
        if holder is None or self._now() - asked_at >= _LEASE_SECONDS - _MARGIN:
            return
        self._renewed_at = asked_at
        self._count, *found = reply
        held = {
            name.decode(): (None if text is None else text.decode(), int(fence))
            for name, fence, text in found
            if name.decode() not in self._ended
        }
        for name in self._held.keys() - held.keys():
            self._release(name)
        for name, (definition, fence) in held.items():
            before = self._held.get(name)
            if before == (definition, fence):
                continue
            self._held[name] = definition, fence
            if before is None:
                self._bus.subscribe(upstream_channel(name)).addErrback(lambda _: None)
            holder.hold(name, definition, fence)
        if self._is_due:
            self._ask()

    def _failed(self, failure: Failure) -> None:
        """Try again later; the bus has logged why."""
        self._is_asking = False
        failure.trap(BusUnavailable)

    def _release(self, name: str) -> None:
        del self._held[name]
        self._bus.unsubscribe(upstream_channel(name))
        if self._holder is not None:
            self._holder.release(name)

    def _not_done(self, failure: Failure) -> None:
        failure.trap(BusUnavailable)
        self.log.warn(
            "What PHP has said of an upstream may not have reached the other nodes: {reason}",
            reason=failure.getErrorMessage(),
        )
