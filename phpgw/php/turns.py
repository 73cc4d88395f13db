"""Who has PHP work for them next: first come, first served, so many at once.

What can wait stands in a line of its own, and gets a quarter of PHP at most, so that a crowd there
does not keep the others waiting.
"""

from collections import OrderedDict
from collections.abc import Callable

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

# Begins something, and fires once that is over; None if there is nothing to do any more.
Turn = Callable[[], Deferred[None] | None]


class Turns:
    """Gives turns.

    :param limit: how many there are at once.
    """

    log = Logger()

    def __init__(self, limit: int) -> None:
        self._limit = self._allowed = limit
        self._patient_limit = max(1, limit // 4)
        # Lines that anybody can step out of.
        self._waiting: OrderedDict[Turn, None] = OrderedDict()
        self._patient: OrderedDict[Turn, None] = OrderedDict()
        self._busy = 0
        self._busy_patient = 0
        self._last_was_patient = False
        self._giving = False
        self._idle_waiters: list[Deferred[None]] = []
        self._still_waiters: list[Deferred[None]] = []

    @property
    def waiting(self) -> int:
        """How many wait, those with time left out."""
        return len(self._waiting)

    @property
    def under_way(self) -> int:
        """How many turns there are just now."""
        return self._busy

    def take(self, turn: Turn) -> None:
        """Wait for a turn; it may come at once.

        :param turn: one that does not wait already.
        """
        self._waiting[turn] = None
        self._give()

    def give_up(self, turn: Turn) -> None:
        """Wait no longer for this turn, which has not come yet."""
        del self._waiting[turn]

    def take_patiently(self, turn: Turn) -> None:
        """Wait for a turn in the line of those that have time."""
        self._patient[turn] = None
        self._give()

    def hurry(self) -> None:
        """From now on, let those that have time have as many turns as the others."""
        self._patient_limit = self._limit
        self._give()

    def allow(self, count: int) -> None:
        """From now on there are so many turns at once, up to the limit; all under way go on."""
        self._allowed = min(count, self._limit)
        self._give()

    def when_still(self) -> Deferred[None]:
        """Fires once nobody's turn is under way, whoever waits."""
        still: Deferred[None] = Deferred()
        self._still_waiters.append(still)
        self._notice()
        return still

    def when_idle(self) -> Deferred[None]:
        """Fires once nobody waits, and nobody's turn is under way."""
        idle: Deferred[None] = Deferred()
        self._idle_waiters.append(idle)
        self._notice()
        return idle

    def _give(self) -> None:
        if self._giving:
            # A turn that is over at once (a refused connection) must not nest.
            return
        self._giving = True
        while self._busy < self._allowed:
            is_patient = self._is_patients_turn()
            if not is_patient and not self._waiting:
                break
            turn, _ = (self._patient if is_patient else self._waiting).popitem(last=False)
            try:
                under_way = turn()
            except Exception:
                # Everybody else would have to wait for ever.
                self.log.failure("A turn could not begin")
                continue
            if under_way is not None:
                self._last_was_patient = is_patient
                self._busy += 1
                self._busy_patient += is_patient
                under_way.addCallbacks(
                    self._over, self._failed, (is_patient,), errbackArgs=(is_patient,)
                )
        self._giving = False
        self._notice()

    def _is_patients_turn(self) -> bool:
        return (
            bool(self._patient)
            and self._busy_patient < self._patient_limit
            and not (self._waiting and self._last_was_patient)
        )

    def _over(self, outcome: None, is_patient: bool) -> None:
        self._busy -= 1
        self._busy_patient -= is_patient
        self._give()

    def _failed(self, failure: Failure, is_patient: bool) -> None:
        self.log.failure("A turn came to a bad end", failure)
        self._over(None, is_patient)

    def _notice(self) -> None:
        """Tell those who wait for a moment of rest, if this is one."""
        if not (self._giving or self._busy):
            _fire(self._still_waiters)
        if not (self._giving or self._busy or self._waiting or self._patient):
            _fire(self._idle_waiters)


def _fire(waiters: list[Deferred[None]]) -> None:
    fired = waiters.copy()
    waiters.clear()
    for waiter in fired:
        waiter.callback(None)
