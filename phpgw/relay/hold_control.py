"""The hold of all gateways for a deployment, and its end."""

from typing import Protocol

import attrs
from twisted.internet.defer import Deferred, succeed

from phpgw.relay.hold import Hold


@attrs.frozen
class HoldState:
    """The state of a hold.

    :ivar is_held: whether events are held back, in all gateways.
    :ivar running: how many events PHP works on, of all gateways.
    :ivar seconds_left: seconds until the first gateway lets events go by itself.
    :ivar problem: which gateways have not done what they were to do; ``None`` if all have.
    """

    is_held: bool
    running: int
    seconds_left: float
    problem: str | None = None


class HoldControl(Protocol):
    """Begins and ends holds.

    :ivar longest: how many seconds a hold may last.
    """

    longest: float

    def hold(self, seconds: float, wait: float) -> Deferred[HoldState]:
        """Hold events back for some seconds.

        :param wait: seconds to wait until PHP works on nothing any more.
        :returns: fires when PHP works on nothing, or the wait is over.
        :raises phpgw.relay.errors.Draining: if this gateway is about to stop.
        """

    def release(self) -> Deferred[HoldState]:
        """Let events go."""


class LocalHoldControl:
    """Begins and ends the holds of a gateway that is alone."""

    def __init__(self, hold: Hold) -> None:
        self._hold = hold
        self.longest = hold.longest

    def hold(self, seconds: float, wait: float) -> Deferred[HoldState]:
        """See :class:`HoldControl`."""
        self._hold.begin(seconds)
        return self._hold.when_none_running(wait).addCallback(lambda _: state_of(self._hold))

    def release(self) -> Deferred[HoldState]:
        """See :class:`HoldControl`."""
        self._hold.release()
        return succeed(state_of(self._hold))


def state_of(hold: Hold) -> HoldState:
    """Return how it is with the hold of one gateway."""
    return HoldState(hold.is_held, hold.running, hold.seconds_left)
