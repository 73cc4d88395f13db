"""Streamed replies that wait for their client to read, and with it hold one of PHP's workers."""

from collections.abc import Callable

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from phpgw.backend import Flow
from phpgw.backend.deadlines import Deadlines
from phpgw.php.turns import Turns
from phpgw.seldom import Seldom, line_limit

# How many pauses as long as one may be a stream may spend in pauses altogether.
_PAUSES = 30
# Whoever has been paused for less than this is not slow.
_SLOW_SECONDS = 1.0


class WatchedFlow:
    """A :class:`phpgw.backend.Flow` whose pauses are limited.

    :param end: ends the stream, and its client's connection.
    :ivar paused_for: seconds that it has spent in pauses that are over.
    :ivar paused_since: when the latest pause began.
    """

    def __init__(self, pauses: "Pauses", flow: Flow, end: Callable[[], None]) -> None:
        self._pauses = pauses
        self._flow = flow
        self.end = end
        self.paused_for = 0.0
        self.paused_since = 0.0

    def pause(self) -> None:
        """See :class:`phpgw.backend.Flow`."""
        self._flow.pause()
        self._pauses.begin(self)

    def hold(self) -> None:
        """See :class:`phpgw.backend.Flow`; this counts as no pause."""
        self._flow.hold()

    def resume(self) -> None:
        """See :class:`phpgw.backend.Flow`."""
        self._pauses.forget(self)
        self._flow.resume()


class Pauses:
    """Ends streams that are paused for too long, or that are too many while others wait.

    While others wait, half of the turns may be held by paused streams.

    :param turns: what streams hold, and others wait for.
    :param seconds: how long a pause may last.
    """

    log = Logger(observer=line_limit)

    def __init__(self, reactor: IReactorTime, turns: Turns, seconds: float) -> None:
        self._now = reactor.seconds
        self._turns = turns
        self._most = _PAUSES * seconds
        self._seldom = Seldom(reactor.seconds)
        self._paused: set[WatchedFlow] = set()
        self._deadlines: Deadlines[WatchedFlow] = Deadlines(reactor, seconds, self._end)

    def begin(self, flow: WatchedFlow) -> None:
        """Note that a pause begins; the stream ends if it has had its share of them."""
        if flow in self._paused:
            return
        flow.paused_since = self._now()
        self._paused.add(flow)
        if flow.paused_for > self._most:
            self._end(flow)
        else:
            self._deadlines.start(flow)

    def forget(self, flow: WatchedFlow) -> None:
        """Note that a pause is over, or the stream."""
        if flow in self._paused:
            self._paused.remove(flow)
            self._deadlines.stop(flow)
            flow.paused_for += self._now() - flow.paused_since

    def make_room(self) -> None:
        """End paused streams beyond their share, those first that were paused for longest.

        To be called while others wait for the turns that streams hold.
        """
        now = self._now()
        slow = [(flow.paused_for + now - flow.paused_since, flow) for flow in self._paused]
        slow.sort(key=lambda each: each[0], reverse=True)
        for paused_for, flow in slow[: max(0, len(slow) - self._turns.limit // 2)]:
            if paused_for >= _SLOW_SECONDS:
                self._end(flow)
        if self._turns.is_full and self._turns.streams.busy >= self._turns.limit:
            self._warn()

    def _end(self, flow: WatchedFlow) -> None:
        self.forget(flow)
        flow.end()

    def _warn(self) -> None:
        if self._seldom.count():
            self.log.warn(
                "Streamed replies hold all {count} of PHP's turns while {waiting} events wait; "
                "raise pm.max_children of PHP-FPM's pool (--php-workers of our own PHP-FPM), and "
                "--php-concurrency with it",
                count=self._turns.limit,
                waiting=self._turns.waiting,
            )
