"""Keeping events from PHP for a while, as long as a deployment takes to reload PHP-FPM.

Messages wait with their clients, and in the browsers' own buffers once those are full.
"""

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from phpgw.log_limit import line_limit
from phpgw.metrics import Metrics
from phpgw.relay.errors import Draining
from phpgw.relay.relay import Relay

# A PHP that has been reloaded compiles all scripts anew: so many steps, and seconds between them,
# lead from few events at a time to the usual number.
_STEPS = 20
_STEP_SECONDS = 0.1


class Hold:
    """Holds events back, and lets them go at a pace.

    :param relay: what they go through.
    :param longest: seconds after which they are let go in any case.
    :ivar is_held: whether events are held back.
    """

    log = Logger(observer=line_limit)

    def __init__(
        self, reactor: IReactorTime, relay: Relay, longest: float, metrics: Metrics
    ) -> None:
        self._reactor = reactor
        self._relay = relay
        self.longest = longest
        self._metrics = metrics
        self.is_held = False
        self._is_closed = False
        # When what is held is let go, or the next step is due.
        self._call: IDelayedCall | None = None

    def begin(self, seconds: float) -> None:
        """Hand no event to PHP from now on; those that it works on go on.

        :param seconds: until when, from now on, if nobody lets them go.
        :raises Draining: if the gateway is about to stop.
        """
        if self._is_closed:
            raise Draining
        self._cancel()
        self._call = self._reactor.callLater(seconds, self._expire)
        if not self.is_held:
            self.is_held = True
            self._metrics.held_now = 1
            self._relay.set_concurrency(0)
            self.log.info("Events are held back, for {seconds} s at most", seconds=seconds)

    def release(self) -> None:
        """Let them go."""
        if self.is_held:
            self._let_go()
            self.log.info("Events are let go")

    def close(self) -> None:
        """Let them go all at once, and hold nothing back any more."""
        self._is_closed = True
        self._cancel()
        self._end()
        self._relay.set_concurrency(self._relay.concurrency)

    def obstacle(self) -> str | None:
        """Return why PHP is not asked now; ``None`` unless events are held back."""
        return "events are held back (/hold)" if self.is_held else None

    @property
    def running(self) -> int:
        """How many events PHP works on."""
        return self._relay.running

    @property
    def seconds_left(self) -> float:
        """Until they are let go if nobody does so before; 0 if none are held back."""
        if not self.is_held or self._call is None:
            return 0
        return self._call.getTime() - self._reactor.seconds()

    def when_none_running(self, patience: float) -> Deferred[None]:
        """Fires once PHP works on nothing, or after so many seconds."""
        still = self._relay.when_none_running()
        return still.addTimeout(patience, self._reactor, onTimeoutCancel=lambda *_: None)

    def _expire(self) -> None:
        self._call = None
        self._let_go()
        self.log.warn("Events are let go, since nobody has done so in time (--max-hold)")

    def _let_go(self) -> None:
        self._cancel()
        self._end()
        self._widen(1)

    def _end(self) -> None:
        self.is_held = False
        self._metrics.held_now = 0

    def _widen(self, step: int) -> None:
        self._call = None
        if step < _STEPS:
            self._call = self._reactor.callLater(_STEP_SECONDS, self._widen, step + 1)
        self._relay.set_concurrency(max(1, self._relay.concurrency * step // _STEPS))

    def _cancel(self) -> None:
        if self._call is not None:
            self._call.cancel()
            self._call = None
