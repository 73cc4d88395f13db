"""Streamed replies that hold PHP's workers for too long: not read, or while others wait."""

from collections.abc import Callable

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from phpgw.backend.deadlines import Deadlines
from phpgw.backend.errors import BackendError
from phpgw.backend.reply import Flow
from phpgw.log_limit import LogThrottle, line_limit
from phpgw.relay.queue import Turns

# How many pauses as long as one may be a stream may spend in pauses altogether.
_PAUSES = 30
# Streams that run make way for others that have waited for this part of the time they may.
_PATIENCE = 3 / 4
_HELP = (
    "raise pm.max_children of PHP-FPM's pool (--php-workers of our own PHP-FPM), and "
    "--php-concurrency with it"
)
# Whoever has been paused for less than this is not slow.
_SLOW_SECONDS = 1.0


class WatchedFlow:
    """A :class:`phpgw.backend.reply.Flow` whose pauses are limited.

    :param end: ends the stream, and its client's connection.
    :param make_way: ends the stream alone, with this problem.
    :ivar began_at: when it began.
    :ivar paused_for: seconds that it has spent in pauses that are over.
    :ivar paused_since: when the latest pause began.
    """

    def __init__(
        self,
        pauses: "StreamLimits",
        flow: Flow,
        end: Callable[[], None],
        make_way: Callable[[BackendError], None],
    ) -> None:
        self._pauses = pauses
        self._flow = flow
        self.end = end
        self.make_way = make_way
        self.began_at = 0.0
        self.paused_for = 0.0
        self.paused_since = 0.0

    def pause(self) -> None:
        """See :class:`phpgw.backend.reply.Flow`."""
        self._flow.pause()
        self._pauses.begin(self)

    def hold(self) -> None:
        """See :class:`phpgw.backend.reply.Flow`; this counts as no pause."""
        self._flow.hold()

    def resume(self) -> None:
        """See :class:`phpgw.backend.reply.Flow`."""
        self._pauses.forget(self)
        self._flow.resume()


class StreamLimits:
    """Ends streams that are paused for too long, or that are too many while others wait.

    While others wait, half of the turns may be held by paused streams. Streams that run are ended
    where others would wait in vain otherwise.

    :param turns: what streams hold, and others wait for.
    :param seconds: how long a pause may last.
    :param waiting_timeout: how long others may wait; 0 for ever. After three quarters of it, those
        streams beyond their share are ended that have run for as long.
    """

    log = Logger(observer=line_limit)

    def __init__(
        self, reactor: IReactorTime, turns: Turns, seconds: float, waiting_timeout: float
    ) -> None:
        self._now = reactor.seconds
        self._turns = turns
        self._most = _PAUSES * seconds
        self._seldom = LogThrottle(reactor.seconds)
        self._patience = _PATIENCE * waiting_timeout
        # All there are, those first that began first.
        self._streams: dict[WatchedFlow, None] = {}
        self._paused: set[WatchedFlow] = set()
        self._deadlines: Deadlines[WatchedFlow] = Deadlines(reactor, seconds, self._end)

    def watch(self, flow: WatchedFlow) -> None:
        """Note that a stream begins."""
        flow.began_at = self._now()
        self._streams[flow] = None

    def over(self, flow: WatchedFlow) -> None:
        """Note that a stream is over."""
        del self._streams[flow]
        self.forget(flow)

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
        """Note that a pause is over."""
        if flow in self._paused:
            self._paused.remove(flow)
            self._deadlines.stop(flow)
            flow.paused_for += self._now() - flow.paused_since

    def make_room(self) -> None:
        """End streams beyond their share: those that were paused for longest, or have run too long.

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
        if self._patience and self._turns.has_waited(now - self._patience):
            self._end_long_ones(now)

    def _end_long_ones(self, now: float) -> None:
        beyond = self._turns.streams_beyond_share
        for flow in list(self._streams)[:beyond]:
            if now - flow.began_at >= self._patience:
                flow.make_way(
                    BackendError(
                        "its streamed reply was ended for others, which had waited for "
                        f"{self._patience:g} s while streams held PHP's turns; {_HELP}"
                    )
                )

    def _end(self, flow: WatchedFlow) -> None:
        self.forget(flow)
        flow.end()

    def _warn(self) -> None:
        if self._seldom.count():
            self.log.warn(
                "Streamed replies hold all {count} of PHP's turns while {waiting} events wait; "
                "{help}",
                help=_HELP,
                count=self._turns.limit,
                waiting=self._turns.waiting,
            )
