"""Timers of a cluster: one node has each run.

The node that is the first to claim a due time has that run. While it lasts, no other node begins
the next one: it is under a lock that lapses if the node dies.
"""

from collections.abc import Sequence
from secrets import token_bytes

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.python.failure import Failure

from phpgw.bus.interface import Bus, BusUnavailable, LuaScript
from phpgw.cluster.membership import LEASE_SECONDS, RENEWAL_INTERVAL
from phpgw.timers.rules import Timer
from phpgw.timers.turns import Turn

# Milliseconds for which it is remembered that a due time was claimed. A run may be a minute late,
# and the clocks of two nodes may be two minutes apart.
_CLAIM_MS = 300_000
_LOCK_MS = LEASE_SECONDS * 1000
_TOKEN_BYTES = 8

CLAIM = LuaScript(
    "claim",
    """
local claim, lock = unpack(KEYS)
local token, claim_ms, lock_ms = unpack(ARGV)
if not redis.call('SET', claim, token, 'NX', 'PX', claim_ms) then
    return 'others'
end
if not redis.call('SET', lock, token, 'NX', 'PX', lock_ms) then
    return 'under way'
end
return 'ours'
""",
)

# A node that was stopped for a while may have lost its lock to another one.
KEEP = LuaScript(
    "keep",
    """
for i, lock in ipairs(KEYS) do
    if redis.call('GET', lock) == ARGV[i + 1] then
        redis.call('PEXPIRE', lock, ARGV[1])
    end
end
""",
)

UNLOCK = LuaScript(
    "unlock",
    """
if redis.call('GET', KEYS[1]) == ARGV[1] then
    redis.call('DEL', KEYS[1])
end
""",
)


class TimerTurns(Service):
    """Takes the runs of timers for this node; a :class:`phpgw.timers.turns.Turns`."""

    def __init__(self, reactor: IReactorTime, bus: Bus) -> None:
        self._bus = bus
        # The token of each timer that runs on this node.
        self._running: dict[str, bytes] = {}
        self._keeping = LoopingCall(self._keep_locks)
        self._keeping.clock = reactor

    def startService(self) -> None:
        """Begin to keep the locks of runs that take long."""
        super().startService()
        self._keeping.start(RENEWAL_INTERVAL)

    def stopService(self) -> None:
        """Keep no lock any longer."""
        super().stopService()
        self._keeping.stop()

    def timer(self, timer: Timer) -> Timer:
        """Return a timer whose times do not depend on when this node has started."""
        return Timer(timer.name, timer.rule.shared())

    def take(self, name: str, due: float) -> Deferred[Turn]:
        """Claim a due time, and lock the timer."""
        token = token_bytes(_TOKEN_BYTES)
        keys = _claim_key(name, due), _lock_key(name)

        def claimed(reply: bytes) -> Turn:
            turn = Turn(reply.decode())
            if turn is not Turn.OURS:
                return turn
            # If it runs here already, the engine had lost the lock.
            is_under_way = name in self._running
            self._running[name] = token
            return Turn.UNDER_WAY if is_under_way else Turn.OURS

        claiming = self._bus.run(CLAIM, keys, [token, _CLAIM_MS, _LOCK_MS])
        return claiming.addCallbacks(claimed, _unknown)

    def end(self, name: str) -> None:
        """Unlock a timer; if that fails, its lock lapses."""
        token = self._running.pop(name)
        self._run(UNLOCK, [_lock_key(name)], [token])

    def missed(self, count: int) -> int:
        """Return 0: another node may have had them."""
        return 0

    def _keep_locks(self) -> None:
        if self._running:
            keys = [_lock_key(name) for name in self._running]
            self._run(KEEP, keys, [_LOCK_MS, *self._running.values()])

    def _run(
        self, script: LuaScript, keys: Sequence[bytes], arguments: Sequence[bytes | int]
    ) -> None:
        """Run a script whose failure does no harm that lasts."""
        self._bus.run(script, keys, arguments).addErrback(_unknown)


def _unknown(failure: Failure) -> Turn:
    failure.trap(BusUnavailable)
    return Turn.UNKNOWN


def _claim_key(name: str, due: float) -> bytes:
    return b"timer:%d:%s" % (round(due * 1000), name.encode())


def _lock_key(name: str) -> bytes:
    return b"timer-run:%s" % name.encode()
