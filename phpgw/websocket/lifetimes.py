"""Idle timeout and maximum age of connections."""

from collections.abc import Callable, Iterable
from random import random
from typing import Protocol

import attrs
from twisted.application.service import Service
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from phpgw.metrics import Metrics
from phpgw.time_slices import Steps, TimeSlices

_GOING_AWAY = 1001
# Jitter: the part of the maximum age by which a connection may close earlier. Connections that were
# opened together should not reconnect together.
_AGE_JITTER = 0.1
# Seconds between two checks of all connections. A check of 10,000 takes 3 ms, in time slices.
_MAX_CHECK_INTERVAL = 1.0
# Connections that are checked between two looks at the clock.
_BATCH_SIZE = 20
# The interval of the checks, as a part of the shorter limit.
_CHECK_SHARE = 1 / 20


@attrs.define(eq=False)
class Lifetime:
    """The age and the activity of one connection.

    :ivar ends_at: the time at which it reaches the maximum age.
    :ivar message_count: the number of its messages at the last check.
    :ivar idle_since: the time of the check that saw this number first, or saw it busy last.
    """

    ends_at: float
    message_count: int
    idle_since: float


class AgingConnection(Protocol):
    """A connection that :class:`Lifetimes` can check.

    :ivar lifetime: set by :class:`Lifetimes`; ``None`` at first.
    """

    lifetime: Lifetime | None

    @property
    def message_count(self) -> int:
        """Return the number of its messages, in both directions."""

    @property
    def is_busy(self) -> bool:
        """Return whether an event of its client waits or runs, or data was read and not parsed."""

    def close_if_idle(self, code: int, reason: str, cause: str) -> bool:
        """Close the connection unless it is busy; if it is, stop reading from it.

        :param cause: as for :meth:`phpgw.hub.client.Connection.close`.
        :returns: whether this call has started the closing handshake.
        """


class Lifetimes(Service):
    """Checks all connections at an interval, and closes those that are idle or too old.

    At least one of the two limits is not 0.

    :param connections: returns all connections.
    :param idle_timeout: seconds without a message in either direction; 0 for no limit.
    :param max_age: seconds since the connection was opened; 0 for no limit.
    """

    def __init__(
        self,
        reactor: IReactorTime,
        connections: Callable[[], Iterable[AgingConnection]],
        slices: TimeSlices,
        metrics: Metrics,
        *,
        idle_timeout: float,
        max_age: float,
    ) -> None:
        self._reactor = reactor
        self._connections = connections
        self._slices = slices
        self._metrics = metrics
        self._idle_timeout = idle_timeout
        self._max_age = max_age
        limits = [limit for limit in (idle_timeout, max_age) if limit]
        self._interval = min(_MAX_CHECK_INTERVAL, min(limits) * _CHECK_SHARE)
        # Seconds, without those in which the process was suspended (SIGSTOP): after such a pause,
        # all connections would be closed.
        self._elapsed = 0.0
        self._checked_at = 0.0
        self._call: IDelayedCall | None = None
        self._is_checking = False

    def startService(self) -> None:
        super().startService()
        self._checked_at = self._reactor.seconds()
        self._call = self._reactor.callLater(self._interval, self._check)

    def stopService(self) -> None:
        super().stopService()
        if self._call is not None:
            self._call.cancel()
            self._call = None

    def _check(self) -> None:
        self._call = self._reactor.callLater(self._interval, self._check)
        passed = self._reactor.seconds() - self._checked_at
        self._checked_at += passed
        self._elapsed += min(max(passed, 0), 2 * self._interval)
        if not self._is_checking:
            self._is_checking = True
            self._slices.run(self._check_all(), begins_now=True)

    def _check_all(self) -> Steps[None]:
        try:
            for index, connection in enumerate(self._connections()):
                self._check_connection(connection)
                if index % _BATCH_SIZE == 0:
                    yield
        finally:
            self._is_checking = False

    def _check_connection(self, connection: AgingConnection) -> None:
        now = self._elapsed
        message_count = connection.message_count
        lifetime = connection.lifetime
        if lifetime is None:
            age = self._max_age * (1 - _AGE_JITTER * random())
            connection.lifetime = Lifetime(now + age, message_count, now)
        elif self._max_age and now >= lifetime.ends_at:
            closed = connection.close_if_idle(
                _GOING_AWAY, "it is time to connect anew (--max-connection-age)", "age"
            )
            self._metrics.old_closed += closed
        elif message_count != lifetime.message_count or connection.is_busy:
            lifetime.message_count, lifetime.idle_since = message_count, now
        elif self._idle_timeout and now - lifetime.idle_since >= self._idle_timeout:
            closed = connection.close_if_idle(
                _GOING_AWAY, "nothing was said for too long (--idle-timeout)", "idle"
            )
            self._metrics.idle_closed += closed
