"""A fixture of a hold, with the relay that it holds."""

from typing import Any, cast

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from phpgw.metrics import Metrics
from phpgw.relay.hold import Hold
from phpgw.relay.hold_control import LocalHoldControl


class FakeRelay:
    """Lets through what it is told to.

    :ivar allowed: how many events at once, each time that this was said.
    :ivar running: how many PHP works on; to be set by the test.
    """

    concurrency = 40

    def __init__(self) -> None:
        self.allowed: list[int] = []
        self.running = 0
        self._waiters: list[Deferred[None]] = []

    def set_concurrency(self, count: int) -> None:
        self.allowed.append(count)

    def when_none_running(self) -> Deferred[None]:
        still: Deferred[None] = Deferred()
        self._waiters.append(still)
        self._notice()
        return still

    def end(self) -> None:
        """PHP answers one of them."""
        self.running -= 1
        self._notice()

    def _notice(self) -> None:
        if not self.running:
            waiters, self._waiters = self._waiters, []
            for waiter in waiters:
                waiter.callback(None)


class HoldFixture:
    """A hold, what it acts upon, and who begins and ends it.

    :param longest: seconds for which it may be held.
    :param clock: the clock, if it is not one of its own.
    """

    def __init__(self, longest: float = 60, clock: Any = None) -> None:
        self.clock: Any = clock or Clock()
        self.relay = FakeRelay()
        self.metrics = Metrics()
        self.hold = Hold(self.clock, cast(Any, self.relay), longest, self.metrics)
        self.control = LocalHoldControl(self.hold)
