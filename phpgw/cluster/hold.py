"""Holds of all nodes: each is asked to hold its events back, and new ones begin held."""

from math import ceil
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.logger import Logger
from twisted.python.failure import Failure

from phpgw.bus.interface import Bus, BusUnavailable
from phpgw.cluster.channels import ALL
from phpgw.cluster.exchange import Exchange
from phpgw.cluster.keys import HOLD
from phpgw.cluster.membership import Membership
from phpgw.cluster.pending_ask import Answers
from phpgw.log_limit import line_limit
from phpgw.relay.errors import Draining
from phpgw.relay.hold import Hold
from phpgw.relay.hold_control import HoldState, state_of

_HOLD, _RELEASE = "hold", "release"


class ClusterHoldControl:
    """Begins and ends the holds of all nodes; a :class:`phpgw.relay.hold_control.HoldControl`.

    It is a :class:`phpgw.cluster.membership.LeaseObserver`, too.

    :param hold: the hold of this node.
    """

    log = Logger(observer=line_limit)

    def __init__(self, bus: Bus, membership: Membership, exchange: Exchange, hold: Hold) -> None:
        self._bus = bus
        self._exchange = exchange
        self._hold = hold
        self.longest = hold.longest
        membership.lease_observers.append(self)
        exchange.handlers[_HOLD] = self._hold_for_another
        exchange.handlers[_RELEASE] = self._release_for_another

    def hold(self, seconds: float, wait: float) -> Deferred[HoldState]:
        """See :class:`phpgw.relay.hold_control.HoldControl`."""
        self._hold.begin(seconds)
        # First for those that begin meanwhile, then for those that are there.
        kept = self._bus.call(b"SET", HOLD, b"1", b"PX", ceil(seconds * 1000))
        asked = self._exchange.ask_all(ALL, _HOLD, [seconds, wait])
        here = self._hold.when_none_running(wait)
        return Deferred.fromCoroutine(self._total(kept, asked, here, is_held=True))

    def release(self) -> Deferred[HoldState]:
        """See :class:`phpgw.relay.hold_control.HoldControl`."""
        self._hold.release()
        kept = self._bus.call(b"DEL", HOLD)
        asked = self._exchange.ask_all(ALL, _RELEASE, [])
        return Deferred.fromCoroutine(self._total(kept, asked, succeed(None), is_held=False))

    # phpgw.cluster.membership.LeaseObserver

    def registered(self) -> None:
        """Find out whether events are held back."""
        left = self._bus.call(b"PTTL", HOLD)
        left.addCallbacks(self._begin_held, _ignore)

    def renewed(self, orphans: int) -> None:
        """Do nothing."""

    def _begin_held(self, milliseconds: int) -> None:
        if milliseconds > 0 and not self._hold.is_held:
            self._begin(milliseconds / 1000)

    def _begin(self, seconds: float) -> None:
        """Begin a hold that another node was told of, unless this node is about to stop."""
        try:
            self._hold.begin(min(seconds, self.longest))
        except Draining:
            self.log.info("Events are not held back, since the gateway is about to stop")

    # What another node asks

    def _hold_for_another(self, sender: str, arguments: list[Any]) -> Deferred[list[Any]]:
        seconds, wait = arguments
        self._begin(float(seconds))
        waited = self._hold.when_none_running(min(float(wait), self.longest))
        return waited.addCallback(lambda _: _encode(state_of(self._hold)))

    def _release_for_another(self, sender: str, arguments: list[Any]) -> list[Any]:
        self._hold.release()
        return _encode(state_of(self._hold))

    # What other nodes answer

    async def _total(
        self, kept: Deferred[Any], asked: Deferred[Answers], here: Deferred[None], is_held: bool
    ) -> HoldState:
        """Return how it is with all nodes together.

        :param kept: what new nodes will find.
        :param asked: what the other nodes answer.
        :param here: fires when this node is ready.
        :param is_held: how it should be with each.
        """
        await here
        states = [state_of(self._hold)]
        problems: list[str] = []
        try:
            await kept
            answers = await asked
            cut_off = await self._exchange.cut_off()
        except BusUnavailable as error:
            problems.append(str(error))
        else:
            problems += [] if answers.problem is None else [answers.problem]
            problems += [f"node {node_id} is not on the bus" for node_id in cut_off]
            for node_id, value in answers.values.items():
                state = _decode(value)
                if state is None:
                    problems.append(f"node {node_id} answers what is not understood")
                else:
                    states.append(state)
                    if state.is_held != is_held:
                        problems.append(f"node {node_id} is about to stop")
        what = "held back" if is_held else "let go"
        return HoldState(
            all(each.is_held for each in states),
            sum(each.running for each in states),
            min(each.seconds_left for each in states),
            f"not all events are {what}: {'; '.join(problems)}" if problems else None,
        )


def _encode(state: HoldState) -> list[Any]:
    return [state.is_held, state.running, state.seconds_left]


def _decode(value: Any) -> HoldState | None:
    match value:
        case [bool(is_held), int(running), int(seconds) | float(seconds)]:
            return HoldState(is_held, running, seconds)
        case _:
            return None


def _ignore(failure: Failure) -> None:
    """Begin without a hold, since the engine is away."""
    failure.trap(BusUnavailable)
