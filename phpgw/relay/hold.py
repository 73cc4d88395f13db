"""Holds events back while a deployment reloads PHP-FPM.

The messages wait in the gateway, and in the browsers when the gateway reads no more from them.
"""

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from phpgw.log_limit import line_limit
from phpgw.metrics import Metrics
from phpgw.relay.errors import Draining
from phpgw.relay.relay import Relay

# After a reload, PHP has to compile all scripts again. So the number of events at once rises to the
# usual one in this many steps, with this many seconds between them.
_STEPS = 20
_STEP_SECONDS = 0.1


class Hold:
    """Holds events back, and releases them step by step.

    :param longest: how many seconds a hold may last.
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
        # The call that ends the hold, or takes the next step after it.
        self._call: IDelayedCall | None = None

    def begin(self, seconds: float) -> None:
        """Send no event to PHP from now on. Events that PHP works on go on.

        :param seconds: after how many seconds the hold ends by itself.
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
        """End the hold, and release the events step by step."""
        if self.is_held:
            self._release()
            self.log.info("Events are let go")

    def close(self) -> None:
        """End the hold, release all events at once, and allow no other hold."""
        self._is_closed = True
        self._cancel()
        self._end()
        self._relay.set_concurrency(self._relay.concurrency)

    def obstacle(self) -> str | None:
        """Return why PHP is not asked now; ``None`` unless events are held back."""
        return "events are held back (/hold)" if self.is_held else None

    @property
    def running(self) -> int:
        """Return how many events PHP works on."""
        return self._relay.running

    @property
    def seconds_left(self) -> float:
        """Return how many seconds are left of the hold; 0 if there is none."""
        if not self.is_held or self._call is None:
            return 0
        return self._call.getTime() - self._reactor.seconds()

    def when_none_running(self, timeout: float) -> Deferred[None]:
        """Return a Deferred that fires when PHP works on no event, or after a timeout."""
        none_running = self._relay.when_none_running()
        return none_running.addTimeout(timeout, self._reactor, onTimeoutCancel=lambda *_: None)

    def _expire(self) -> None:
        """End a hold that nothing else has ended in time."""
        self._call = None
        self._release()
        self.log.warn("Events are let go, since nobody has done so in time (--max-hold)")

    def _release(self) -> None:
        """End the hold, and allow few events at once at first."""
        self._cancel()
        self._end()
        self._step(1)

    def _end(self) -> None:
        self.is_held = False
        self._metrics.held_now = 0

    def _step(self, step: int) -> None:
        """Allow a few more events at once, until the usual number is reached."""
        self._call = None
        if step < _STEPS:
            self._call = self._reactor.callLater(_STEP_SECONDS, self._step, step + 1)
        self._relay.set_concurrency(max(1, self._relay.concurrency * step // _STEPS))

    def _cancel(self) -> None:
        if self._call is not None:
            self._call.cancel()
            self._call = None
