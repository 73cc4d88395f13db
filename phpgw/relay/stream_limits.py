"""Limits on streamed replies that occupy PHP's workers: while paused, or while others wait."""

from collections.abc import Callable

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from phpgw.backend.errors import BackendError
from phpgw.backend.reply import FlowControl
from phpgw.deadlines import Deadlines
from phpgw.log_limit import LogThrottle, line_limit
from phpgw.relay.fifo import QueuedEvent
from phpgw.relay.queue import EventQueue

# The total time of a stream's pauses is limited to this multiple of the limit of a single pause.
_MAX_PAUSES = 30
# Running streams are ended when other events have waited for this part of their timeout.
_PART_OF_TIMEOUT = 3 / 4
_HELP = (
    "raise pm.max_children of PHP-FPM's pool (--php-workers of our own PHP-FPM), and "
    "--php-concurrency with it"
)
# A client whose stream was paused for fewer seconds than this does not count as slow.
_SLOW_SECONDS = 1.0


class LimitedFlow:
    """A :class:`phpgw.backend.reply.FlowControl` with a limit on its pauses.

    :param close_client: ends the stream and closes its client's connection.
    :param end_early: ends the stream alone, with an error.
    :ivar started_at: when the stream began.
    :ivar paused_for: total seconds of the pauses that have ended.
    :ivar paused_since: when the latest pause began.
    """

    def __init__(
        self,
        limits: "StreamLimits",
        flow: FlowControl,
        close_client: Callable[[], None],
        end_early: Callable[[BackendError], None],
    ) -> None:
        self._limits = limits
        self._flow = flow
        self.close_client = close_client
        self.end_early = end_early
        self.started_at = 0.0
        self.paused_for = 0.0
        self.paused_since = 0.0

    def pause(self) -> None:
        """See :class:`phpgw.backend.reply.FlowControl`."""
        self._flow.pause()
        self._limits.pause(self)

    def hold(self) -> None:
        """See :class:`phpgw.backend.reply.FlowControl`; this does not count as a pause."""
        self._flow.hold()

    def resume(self) -> None:
        """See :class:`phpgw.backend.reply.FlowControl`."""
        self._limits.resume(self)
        self._flow.resume()


class StreamLimits:
    """Ends streams that are paused for too long, or that are too many while other events wait.

    While others wait, paused streams may take half of the concurrency limit. Running streams are
    ended if others would exceed their timeout otherwise.

    :param queue: where streams run and others wait.
    :param max_pause: how many seconds a pause may last.
    :param waiting_timeout: how many seconds others may wait; 0 for no timeout. After three quarters
        of it, streams beyond their share are ended if they have run for that time, too.
    """

    log = Logger(observer=line_limit)

    def __init__(
        self, reactor: IReactorTime, queue: EventQueue, max_pause: float, waiting_timeout: float
    ) -> None:
        self._now = reactor.seconds
        self._queue = queue
        self._max_paused_for = _MAX_PAUSES * max_pause
        self._throttle = LogThrottle(reactor.seconds)
        self._patience = _PART_OF_TIMEOUT * waiting_timeout
        # All streams, in the order in which they began.
        self._streams: dict[LimitedFlow, None] = {}
        self._paused: set[LimitedFlow] = set()
        self._deadlines: Deadlines[LimitedFlow] = Deadlines(reactor, max_pause, self._close)

    def start(
        self,
        event: QueuedEvent,
        flow: FlowControl,
        close_client: Callable[[], None],
        end_early: Callable[[BackendError], None],
    ) -> LimitedFlow:
        """Put the streamed reply to a running event under the limits.

        :returns: what to use in place of its flow; see :class:`LimitedFlow`.
        """
        self._queue.count_as_stream(event)
        limited = LimitedFlow(self, flow, close_client, end_early)
        self.watch(limited)
        return limited

    def watch(self, flow: LimitedFlow) -> None:
        """Add a stream that begins."""
        flow.started_at = self._now()
        self._streams[flow] = None

    def remove(self, flow: LimitedFlow) -> None:
        """Remove a stream that has ended."""
        del self._streams[flow]
        self.resume(flow)

    def pause(self, flow: LimitedFlow) -> None:
        """Begin a pause; end the stream if its pauses have taken too long altogether."""
        if flow in self._paused:
            return
        flow.paused_since = self._now()
        self._paused.add(flow)
        if flow.paused_for > self._max_paused_for:
            self._close(flow)
        else:
            self._deadlines.start(flow)

    def resume(self, flow: LimitedFlow) -> None:
        """End a pause, if there is one."""
        if flow in self._paused:
            self._paused.remove(flow)
            self._deadlines.stop(flow)
            flow.paused_for += self._now() - flow.paused_since

    def make_room(self) -> None:
        """End streams beyond their share: those with the longest pauses, or that run for too long.

        To be called while other events wait for places that streams take.
        """
        now = self._now()
        slow = [(flow.paused_for + now - flow.paused_since, flow) for flow in self._paused]
        slow.sort(key=lambda each: each[0], reverse=True)
        for paused_for, flow in slow[: max(0, len(slow) - self._queue.limit // 2)]:
            if paused_for >= _SLOW_SECONDS:
                self._close(flow)
        if self._queue.is_full and self._queue.streams.running >= self._queue.limit:
            self._warn()
        if self._patience and self._queue.has_waited_since(now - self._patience):
            self._end_long_streams(now)

    def _end_long_streams(self, now: float) -> None:
        """End the oldest streams beyond their share that have run for long."""
        excess = self._queue.excess_streams
        for flow in list(self._streams)[:excess]:
            if now - flow.started_at >= self._patience:
                flow.end_early(
                    BackendError(
                        "its streamed reply was ended for others, which had waited for "
                        f"{self._patience:g} s while streams held PHP's turns; {_HELP}"
                    )
                )

    def _close(self, flow: LimitedFlow) -> None:
        """End a stream that was paused for too long, with its client's connection."""
        self.resume(flow)
        flow.close_client()

    def _warn(self) -> None:
        """Log from time to time that streams take all places."""
        if self._throttle.count():
            self.log.warn(
                "Streamed replies hold all {count} of PHP's turns while {waiting} events wait; "
                "{help}",
                help=_HELP,
                count=self._queue.limit,
                waiting=self._queue.waiting,
            )
