"""A concurrency limit with fair lines: first come, first served, so many at once.

Messages may take all of PHP. What could keep them waiting stands in lines of its own, each with a
bounded share of PHP: streamed replies, handshakes, disconnects.
"""

from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Hashable, Iterator
from itertools import islice
from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from phpgw.backend.errors import BackendError
from phpgw.log_limit import line_limit

# Begins something, and fires once that is over; None if there is nothing to do any more. Given an
# error it is not to begin, but to fail with it.
Begin = Callable[[BackendError | None], Deferred[Any] | None]
Later = Callable[[Callable[[], None]], object]

# How many turns that are over at once are given in one of the reactor's, which takes 6 ms.
_MOST_AT_ONCE = 100


@attrs.define(eq=False)
class Turn:
    """Something for PHP to do, while it waits and until it is over.

    :ivar line: where it waits, and whose share it takes.
    :ivar since: when it began to wait.
    :ivar place: the network that it is counted for while it waits; ``None`` for none.
    """

    begin: Begin
    line: "Line"
    since: float = 0.0
    place: Hashable = None


class Line:
    """Turns that wait, first come, first served; anybody can step out.

    :ivar limit: how many of its turns there may be at once.
    :ivar busy: how many there are.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.busy = 0
        self._turns: OrderedDict[Turn, None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._turns)

    def __iter__(self) -> Iterator[Turn]:
        return iter(self._turns)

    def add(self, turn: Turn) -> None:
        self._turns[turn] = None

    def remove(self, turn: Turn) -> None:
        del self._turns[turn]

    def pop(self) -> Turn:
        """Take the next one out."""
        return self._turns.popitem(last=False)[0]


class LineByPlace(Line):
    """A line in which each network has its next turn once all others have had one."""

    def __init__(self, limit: int) -> None:
        super().__init__(limit)
        self._places: OrderedDict[Hashable, OrderedDict[Turn, None]] = OrderedDict()

    def waiting_from(self, place: Hashable) -> int:
        """Return how many wait that are counted for a network; 0 if it is ``None``."""
        return 0 if place is None else len(self._places.get(place, ()))

    def add(self, turn: Turn) -> None:
        super().add(turn)
        self._places.setdefault(turn.place, OrderedDict())[turn] = None

    def remove(self, turn: Turn) -> None:
        super().remove(turn)
        del self._places[turn.place][turn]
        if not self._places[turn.place]:
            del self._places[turn.place]

    def pop(self) -> Turn:
        place, turns = next(iter(self._places.items()))
        turn = next(iter(turns))
        self._places.move_to_end(place)
        self.remove(turn)
        return turn


class Turns:
    """Gives turns.

    :param later: makes a call in the reactor's next turn. Of turns that are over at once, as all
        are while the circuit breaker is open, only so many are given in one.
    :ivar limit: how many there are at once.
    :ivar messages: the line that may have all of them, and every other one in any case.
    :ivar streams: the line of those whose reply is expected to be streamed. It leaves a quarter of
        the turns, and at least one of several, to everything else.
    :ivar handshakes: the line that may have half of the turns.
    :ivar disconnects: the line that may have a quarter of them.
    :ivar waiting: how many wait, disconnects left out.
    """

    log = Logger(observer=line_limit)

    def __init__(self, limit: int, later: Later | None = None) -> None:
        self._later = later
        self.limit = self._allowed = limit
        # So many are left to messages by handshakes and disconnects, and by streams.
        self._reserve = max(1, limit // 4)
        self.messages = Line(limit)
        self.streams = Line(max(1, limit - self._reserve))
        self.handshakes = LineByPlace(max(1, limit // 2))
        self.disconnects = Line(max(1, limit // 4))
        self.waiting = 0
        self._others = deque((self.disconnects, self.handshakes, self.streams))
        self._others_waiting = 0
        self._places: Counter[Hashable] = Counter()
        self._busy = 0
        self._last = self.messages
        self._is_hurrying = False
        self._giving = False
        # Whether the next turns are given in the reactor's next turn.
        self._is_resting = False
        self._idle_waiters: list[Deferred[None]] = []
        self._still_waiters: list[Deferred[None]] = []

    @property
    def under_way(self) -> int:
        """How many turns there are just now."""
        return self._busy

    @property
    def is_held(self) -> bool:
        """Return whether no turn is given at all."""
        return not self._allowed

    @property
    def is_full(self) -> bool:
        """Return whether all turns that there are at once are under way."""
        return self._busy >= self._allowed

    @property
    def streams_beyond_share(self) -> int:
        """Count the streams that hold turns which should be left to others."""
        return max(0, self.streams.busy - (self.limit - self._reserve))

    def waiting_from(self, place: Hashable) -> int:
        """Return how many turns wait that are counted for a network."""
        return self._places[place]

    def take(self, turn: Turn) -> None:
        """Wait for a turn; it may come at once.

        :param turn: one that does not wait already.
        """
        if turn.line is self.messages and not (
            self.waiting or self._others_waiting or self._giving or self.is_full
        ):
            # As in the loop of all others, without the detour.
            self._giving = True
            self._begin(turn)
            self._giving = False
            if not (self.waiting or self._others_waiting):
                self._notice()
                return
        else:
            turn.line.add(turn)
            self._count(turn, 1)
        self._give()

    def cancel(self, turn: Turn) -> None:
        """Wait no longer for this turn, which has not come yet."""
        turn.line.remove(turn)
        self._count(turn, -1)

    def cancel_overdue(self, since: float, most: int) -> list[Turn]:
        """Wait no longer for turns that have waited from before this time.

        Disconnects may wait as long as it takes, and streams as long as they only wait for the
        share of streams.

        :param most: how many at once.
        :returns: these turns.
        """
        lines = [self.messages, self.handshakes]
        if self.is_full:
            lines.append(self.streams)
        late = (turn for line in lines for turn in line if turn.since < since)
        overdue = list(islice(late, most))
        for turn in overdue:
            self.cancel(turn)
        return overdue

    def has_waited(self, since: float) -> bool:
        """Return whether one that does not expect a stream has waited from before this time."""
        fronts = (next(iter(line), None) for line in (self.messages, self.handshakes))
        return any(turn is not None and turn.since < since for turn in fronts)

    def becomes_stream(self, turn: Turn) -> None:
        """Count a turn that is under way as a stream from now on."""
        turn.line.busy -= 1
        turn.line = self.streams
        turn.line.busy += 1

    def hurry(self) -> None:
        """Lift the limit on disconnects."""
        self._is_hurrying = True
        self.disconnects.limit = self.limit
        self._give()

    def allow(self, count: int) -> None:
        """From now on there are so many turns at once, up to the limit; all under way go on."""
        self._allowed = min(count, self.limit)
        self._give()

    def when_none_running(self) -> Deferred[None]:
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

    def _count(self, turn: Turn, change: int) -> None:
        """One more or one less waits."""
        line = turn.line
        if line is not self.messages:
            self._others_waiting += change
        if line is not self.disconnects:
            self.waiting += change
        if turn.place is not None:
            self._places[turn.place] += change
            if not self._places[turn.place]:
                del self._places[turn.place]

    def _give(self) -> None:
        if self._giving or self._is_resting:
            # A turn that is over at once (a refused connection) must not nest.
            return
        self._giving = True
        left = self.limit + _MOST_AT_ONCE
        while self._busy < self._allowed:
            line = self._next_line()
            if line is None:
                break
            if not left and self._later is not None:
                self._is_resting = True
                self._later(self._go_on)
                break
            left -= 1
            turn = line.pop()
            self._count(turn, -1)
            self._begin(turn)
        self._giving = False
        self._notice()

    def _go_on(self) -> None:
        self._is_resting = False
        self._give()

    def _begin(self, turn: Turn) -> None:
        turn.line.busy += 1
        self._busy += 1
        try:
            under_way = turn.begin(None)
        except Exception:
            # Everybody else would have to wait for ever.
            self.log.failure("A turn could not begin")
            under_way = None
        if under_way is None:
            turn.line.busy -= 1
            self._busy -= 1
        else:
            self._last = turn.line
            under_way.addCallbacks(self._over, self._failed, (turn,), errbackArgs=(turn,))

    def _next_line(self) -> Line | None:
        messages = self.messages
        if self._others_waiting and not (messages and self._last is not messages):
            for line in self._others:
                if line and self._has_share(line):
                    self._others.remove(line)
                    self._others.append(line)
                    return line
        return messages if messages else None

    def _has_share(self, line: Line) -> bool:
        if line.busy >= line.limit:
            return False
        if line is self.streams or self._is_hurrying:
            return True
        short = self.handshakes.busy + self.disconnects.busy
        return short < max(1, self.limit - self._reserve - self.streams.busy)

    def _over(self, outcome: Any, turn: Turn) -> None:
        self._busy -= 1
        turn.line.busy -= 1
        self._give()

    def _failed(self, failure: Failure, turn: Turn) -> None:
        self.log.failure("A turn came to a bad end", failure)
        self._over(None, turn)

    def _notice(self) -> None:
        """Tell those who wait for a moment of rest, if this is one."""
        if not (self._giving or self._busy):
            _fire(self._still_waiters)
        if not (self._giving or self._busy or self.waiting or self._others_waiting):
            _fire(self._idle_waiters)


def _fire(waiters: list[Deferred[None]]) -> None:
    fired = waiters.copy()
    waiters.clear()
    for waiter in fired:
        waiter.callback(None)
