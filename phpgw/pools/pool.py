"""One pool: connections to a server, each lent to one session of PHP at a time.

Connections are apart by a key, which is all that two sessions must have in common to use the same
one. The connection that was used last is used next, so that those that are not needed grow idle;
PHP waits in the order in which it came.
"""

from collections import OrderedDict
from typing import Any, Generic, TypeVar

import attrs
from twisted.internet.defer import CancelledError, Deferred, maybeDeferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from phpgw.deadlines import Deadlines
from phpgw.escape import printable
from phpgw.log_limit import LogThrottle, line_limit
from phpgw.pools.connector import Connector, ServerConnection
from phpgw.pools.errors import PoolFull, PoolStopping, ServerUnavailable
from phpgw.pools.figures import CloseReason, PoolFigures
from phpgw.settings.option import shortened
from phpgw.settings.pool_config import PoolConfig

_MAX_WAITING = 10_000

K = TypeVar("K")
C = TypeVar("C", bound=ServerConnection)


@attrs.frozen(kw_only=True)
class PoolLimits:
    """The limits of a pool; all times are in seconds.

    :ivar size: the largest number of connections.
    :ivar idle: how long a connection is kept that nobody uses.
    :ivar wait: how long PHP waits for a connection.
    :ivar age: how long a connection is used again after it was opened.
    """

    size: int
    idle: float
    wait: float
    age: float

    @classmethod
    def from_config(cls, config: PoolConfig) -> "PoolLimits":
        """Return the limits in the settings of a pool."""
        assert config.wait is not None  # Settings.pools() has filled it in.
        return cls(size=config.size, idle=config.idle, wait=config.wait, age=config.age)


@attrs.define(eq=False)
class _Waiter(Generic[K, C]):
    """One session of PHP that waits for a connection.

    :ivar taken: what :meth:`Pool.take` has returned; ``None`` once nobody waits for it.
    :ivar opening: the connection that is being opened for it.
    """

    key: K
    since: float
    taken: Deferred[C] | None = None
    opening: Deferred[None] | None = None


@attrs.define
class _Loan(Generic[K]):
    """The use of a connection by PHP."""

    key: K
    since: float


class Pool(Generic[K, C]):
    """A pool of connections.

    :param name: its name, for the log.
    """

    log = Logger(observer=line_limit)

    def __init__(
        self, reactor: Any, name: str, limits: PoolLimits, connector: Connector[K, C]
    ) -> None:
        self._now = reactor.seconds
        self._name = name
        self._limits = limits
        self._connector = connector
        self._figures = PoolFigures()
        self._waiters: OrderedDict[_Waiter[K, C], None] = OrderedDict()
        self._openings: set[_Waiter[K, C]] = set()
        # In the order in which they became idle, and the same for each key.
        self._idle: OrderedDict[C, K] = OrderedDict()
        self._idle_by_key: dict[K, dict[C, None]] = {}
        self._loans: dict[C, _Loan[K]] = {}
        # Connections older than this were opened before a reload.
        self._valid_since = float("-inf")
        self._stopped: Deferred[None] | None = None
        self._is_going_on = False
        self._full_lines = LogThrottle(reactor.seconds)
        self._patience = Deadlines[_Waiter[K, C]](reactor, limits.wait, self._give_up)
        self._idleness = Deadlines[C](reactor, limits.idle, self._close_idle)

    @property
    def figures(self) -> PoolFigures:
        """Return the figures of now."""
        figures = self._figures
        figures.in_use, figures.idle = len(self._loans), len(self._idle)
        figures.opening, figures.waiting = len(self._openings), len(self._waiters)
        return figures

    @property
    def has_room(self) -> bool:
        """Return whether there may be one more connection."""
        return len(self._loans) + len(self._idle) + len(self._openings) < self._limits.size

    def take(self, key: K) -> Deferred[C]:
        """Take a connection, which has to come back by :meth:`give_back` or :meth:`discard`.

        :returns: fails with :exc:`.PoolFull`, :exc:`.ServerUnavailable`, :exc:`.PoolStopping`, or
            what the connector fails with. Whoever does not need it any more cancels it.
        """
        waiter = _Waiter[K, C](key, self._now())
        taken: Deferred[C] = Deferred(lambda _: self._forget(waiter))
        waiter.taken = taken
        if self._stopped is not None:
            self._refuse(waiter, PoolStopping("the gateway stops"))
        elif len(self._waiters) >= _MAX_WAITING:
            self._refuse(waiter, self._full())
        else:
            self._waiters[waiter] = None
            self._patience.start(waiter)
            self._go_on()
        return taken

    def give_back(self, connection: C) -> None:
        """Give back a connection that is proven clean: no trace of its use is left in it."""
        loan = self._loans.pop(connection, None)
        if loan is None:
            # It was discarded meanwhile, or was given back before: nobody may have it.
            self.discard(connection)
            return
        self._figures.cleaned += 1
        self._figures.uses.observe(self._now() - loan.since)
        reason = self._reason_to_close(connection)
        if reason is None:
            self._keep(connection, loan.key)
        else:
            self._close(connection, reason)
            self._go_on()

    def discard(self, connection: C, reason: CloseReason = "unclean") -> None:
        """Close a connection, in use or idle. A second call does nothing."""
        loan = self._loans.pop(connection, None)
        if loan is not None:
            self._figures.uses.observe(self._now() - loan.since)
            self._close(connection, reason)
        elif connection in self._idle:
            self._remove_idle(connection)
            self._close(connection, reason)
        else:
            connection.close()
        self._go_on()

    def open_ahead(self, key: K) -> Deferred[None]:
        """Open a connection before anybody needs it, if there is room.

        :returns: fires once it is there, and fails as :meth:`take` does.
        """
        if not self.has_room or self._stopped is not None:
            raise ValueError("there is no room")
        waiter = _Waiter[K, C](key, self._now())
        self._patience.start(waiter)
        return self._open(waiter)

    def reload(self) -> None:
        """Use no connection again that was opened before now: passwords may have changed."""
        self._valid_since = self._now()
        for connection in [*self._idle]:
            self._remove_idle(connection)
            self._close(connection, "reload")
        self._go_on()

    def stop(self) -> Deferred[None]:
        """Hand out no more connections.

        :returns: fires once none is in use.
        """
        if self._stopped is None:
            self._stopped = Deferred()
            waiters, self._waiters = self._waiters, OrderedDict()
            for waiter in waiters:
                self._refuse(waiter, PoolStopping("the gateway stops"))
            for waiter in [*self._openings]:
                self._refuse(waiter, PoolStopping("the gateway stops"))
                if waiter.opening is not None:
                    waiter.opening.cancel()
            for connection in [*self._idle]:
                self._remove_idle(connection)
                self._close(connection, "stop")
            self._go_on()
        stopped: Deferred[None] = Deferred()
        self._stopped.chainDeferred(stopped)
        return stopped

    def _go_on(self) -> None:
        """Serve who waits, or notice that all is stopped."""
        if self._is_going_on:
            # The loop below goes on, without growing the stack.
            return
        self._is_going_on = True
        try:
            while self._waiters and self._serve(next(iter(self._waiters))):
                pass
        finally:
            self._is_going_on = False
        if self._stopped is not None and not self._loans and not self._openings:
            self._patience.close()
            self._idleness.close()
            if not self._stopped.called:
                self._stopped.callback(None)

    def _serve(self, waiter: _Waiter[K, C]) -> bool:
        """Hand over an idle connection, or open one, if there is a place for it.

        :returns: whether there was.
        """
        connection = self._pop_idle(waiter.key)
        if connection is not None:
            del self._waiters[waiter]
            self._hand_over(waiter, connection)
            return True
        if not self.has_room and self._idle:
            # Of another key.
            oldest = next(iter(self._idle))
            self._remove_idle(oldest)
            self._close(oldest, "replaced")
        if not self.has_room:
            return False
        del self._waiters[waiter]
        self._open(waiter).addErrback(self._refuse_for, waiter)
        return True

    def _open(self, waiter: _Waiter[K, C]) -> Deferred[None]:
        """Open a connection for a waiter, or for nobody.

        :returns: fires once it was handed over or is idle; fails if it cannot be opened.
        """
        self._openings.add(waiter)
        connecting = maybeDeferred(self._connector.connect, waiter.key)
        opening: Deferred[None] = connecting.addCallbacks(
            lambda connection: self._opened(waiter, connection),
            lambda failure: self._failed(waiter, failure),
        )
        if waiter in self._openings:
            waiter.opening = opening
        return opening

    def _opened(self, waiter: _Waiter[K, C], connection: C) -> None:
        self._openings.discard(waiter)
        self._figures.opened += 1
        if waiter.since < self._valid_since:
            # It may have logged in with what was valid before.
            connection.opened_at = min(connection.opened_at, waiter.since)
        if self._figures.problem:
            self._figures.problem = ""
            self.log.info("Pool {name} reaches its server again", name=self._name)
        if self._stopped is not None:
            self._close(connection, "stop")
            self._go_on()
        elif waiter.taken is None:
            self._patience.stop(waiter)
            self._keep(connection, waiter.key)
        else:
            self._hand_over(waiter, connection)

    def _failed(self, waiter: _Waiter[K, C], failure: Failure) -> Failure:
        self._openings.discard(waiter)
        self._patience.stop(waiter)
        if not failure.check(CancelledError):
            self._note_problem(str(failure.value) or type(failure.value).__name__)
        self._go_on()
        return failure

    def _note_problem(self, text: str) -> None:
        """Log why a connection could not be opened, if it was not for the same reason before."""
        reason = printable(shortened(text))
        if self._figures.problem != reason:
            self._figures.problem = reason
            self.log.warn(
                "Pool {name}: no connection could be opened: {reason}",
                name=self._name,
                reason=reason,
            )

    def _hand_over(self, waiter: _Waiter[K, C], connection: C) -> None:
        taken, waiter.taken = waiter.taken, None
        assert taken is not None  # Who gives up is in no queue.
        self._patience.stop(waiter)
        now = self._now()
        self._figures.waits.observe(now - waiter.since)
        self._loans[connection] = _Loan(waiter.key, now)
        taken.callback(connection)

    def _refuse_for(self, failure: Failure, waiter: _Waiter[K, C]) -> None:
        self._refuse(waiter, failure.value)

    def _refuse(self, waiter: _Waiter[K, C], error: BaseException | None) -> None:
        taken, waiter.taken = waiter.taken, None
        if taken is None:
            return
        self._patience.stop(waiter)
        refused = self._figures.refused
        if isinstance(error, PoolFull):
            refused["full"] += 1
            self._log_full()
        elif isinstance(error, PoolStopping):
            refused["stopping"] += 1
        else:
            refused["unavailable"] += 1
        taken.errback(error)

    def _forget(self, waiter: _Waiter[K, C]) -> None:
        """Note that nobody needs it any more. A connection that is being opened is kept."""
        waiter.taken = None
        if waiter in self._waiters:
            del self._waiters[waiter]
            self._patience.stop(waiter)

    def _give_up(self, waiter: _Waiter[K, C]) -> None:
        """End the wait of PHP, or of a connection that takes too long to open."""
        if waiter in self._waiters:
            del self._waiters[waiter]
            self._refuse(waiter, self._full())
            return
        problem = f"no answer within {self._limits.wait:g} s"
        self._note_problem(problem)
        self._refuse(waiter, ServerUnavailable(problem))
        if waiter.opening is not None:
            waiter.opening.cancel()

    def _log_full(self) -> None:
        count = self._full_lines.count()
        if count:
            self.log.warn(
                "Pool {name}: all {size} connections are in use; PHP got none {count} times",
                name=self._name,
                size=self._limits.size,
                count=count,
            )

    def _full(self) -> PoolFull:
        return PoolFull(f"all {self._limits.size} connections are in use")

    def _keep(self, connection: C, key: K) -> None:
        """Have a connection wait for PHP, or for nothing if PHP waits."""
        self._idle[connection] = key
        self._idle_by_key.setdefault(key, {})[connection] = None
        self._idleness.start(connection)
        self._go_on()

    def _pop_idle(self, key: K) -> C | None:
        """Return the idle connection that was used last, without those that cannot be used."""
        while connections := self._idle_by_key.get(key):
            connection = next(reversed(connections))
            self._remove_idle(connection)
            reason = self._reason_to_close(connection)
            if reason is None:
                return connection
            self._close(connection, reason)
        return None

    def _reason_to_close(self, connection: C) -> CloseReason | None:
        if self._stopped is not None:
            return "stop"
        if connection.opened_at < self._valid_since:
            return "reload"
        if connection.opened_at + self._limits.age <= self._now():
            return "age"
        return None if connection.is_alive() else "lost"

    def _remove_idle(self, connection: C) -> None:
        key = self._idle.pop(connection)
        connections = self._idle_by_key[key]
        del connections[connection]
        if not connections:
            del self._idle_by_key[key]
        self._idleness.stop(connection)

    def _close_idle(self, connection: C) -> None:
        self._remove_idle(connection)
        self._close(connection, "idle")
        self._go_on()

    def _close(self, connection: C, reason: CloseReason) -> None:
        self._figures.closed[reason] += 1
        connection.close()
