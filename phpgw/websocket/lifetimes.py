"""An end to connections on which nothing is said any more, and to those that are old."""

from collections.abc import Callable, Iterable
from random import random
from typing import Protocol

import attrs
from twisted.application.service import Service
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from phpgw.metrics import Metrics
from phpgw.time_slices import Steps, TimeSlices

_GOING_AWAY = 1001
# How much earlier than at its full age a connection may have to go, so that those which came
# together do not come back together.
_SPREAD = 0.1
# Seconds from one look at all connections to the next, which takes 3 ms for 10,000, in slices.
_LONGEST_STEP = 1.0
# How many are looked at before the clock is.
_STEP = 20
# How much of the shorter time that is.
_PRECISION = 1 / 20


@attrs.define(eq=False)
class Lifetime:
    """What is to be known of one connection.

    :ivar ends_at: when it is too old.
    :ivar count: how many messages there had been when it was last seen.
    :ivar quiet_since: when there were as many for the first time.
    """

    ends_at: float
    count: int
    quiet_since: float


class AgingConnection(Protocol):
    """A connection that can come to its end.

    :ivar lifetime: kept for :class:`Lifetimes`.
    """

    lifetime: Lifetime | None

    @property
    def message_count(self) -> int:
        """How many messages have gone over it, in both directions."""

    @property
    def is_busy(self) -> bool:
        """Return whether PHP works for it, or will with what was read from it."""

    def close_if_idle(self, code: int, reason: str) -> bool:
        """Take no more messages, and close it unless it is busy.

        :returns: whether it is being closed, and was not before.
        """


class Lifetimes(Service):
    """Looks at all connections, now and then; at least one of the two times is not 0.

    :param connections: tells which there are.
    :param idle_timeout: seconds without a message in either direction; 0 for any number.
    :param max_age: seconds since it was opened; 0 for any number.
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
        self._step = min(_LONGEST_STEP, min(limits) * _PRECISION)
        # In seconds; when the process was stopped, all would be too old otherwise.
        self._now = 0.0
        self._looked_at = 0.0
        self._call: IDelayedCall | None = None
        self._is_looking = False

    def startService(self) -> None:
        super().startService()
        self._looked_at = self._reactor.seconds()
        self._call = self._reactor.callLater(self._step, self._look)

    def stopService(self) -> None:
        super().stopService()
        if self._call is not None:
            self._call.cancel()
            self._call = None

    def _look(self) -> None:
        self._call = self._reactor.callLater(self._step, self._look)
        elapsed = self._reactor.seconds() - self._looked_at
        self._looked_at += elapsed
        self._now += min(max(elapsed, 0), 2 * self._step)
        if not self._is_looking:
            self._is_looking = True
            self._slices.run(self._look_at_all(), begins_now=True)

    def _look_at_all(self) -> Steps[None]:
        try:
            for count, connection in enumerate(self._connections()):
                self._look_at(connection)
                if count % _STEP == 0:
                    yield
        finally:
            self._is_looking = False

    def _look_at(self, connection: AgingConnection) -> None:
        now = self._now
        count = connection.message_count
        lifetime = connection.lifetime
        if lifetime is None:
            age = self._max_age * (1 - _SPREAD * random())
            connection.lifetime = Lifetime(now + age, count, now)
        elif self._max_age and now >= lifetime.ends_at:
            closed = connection.close_if_idle(
                _GOING_AWAY, "it is time to connect anew (--max-connection-age)"
            )
            self._metrics.old_closed += closed
        elif count != lifetime.count or connection.is_busy:
            lifetime.count, lifetime.quiet_since = count, now
        elif self._idle_timeout and now - lifetime.quiet_since >= self._idle_timeout:
            closed = connection.close_if_idle(
                _GOING_AWAY, "nothing was said for too long (--idle-timeout)"
            )
            self._metrics.idle_closed += closed
