"""Rules for when a timer is due: at an interval, or by cron fields in local time."""

import math
from collections.abc import Iterator
from datetime import datetime, tzinfo
from itertools import islice, takewhile
from typing import ClassVar, Protocol, Self

import attrs
from cronsim import CronSim, CronSimError

from phpgw.timers.local_zone import LOCAL_ZONE

# After the clock was set by years, counting all runs in between would take too long.
_MAX_COUNTED = 1000


class Rule(Protocol):
    """Computes when a timer is due.

    :cvar uses_wall_clock: whether its times are seconds since the epoch, by a clock that may be
        set. Otherwise they are seconds of the monotonic clock.
    :ivar max_setback: the largest number of seconds by which the clock may be set back without
        repeated runs.
    """

    uses_wall_clock: ClassVar[bool]

    @property
    def max_setback(self) -> float: ...

    def starting_at(self, start: float) -> Self:
        """Return this rule for a timer that starts at this time."""

    def next_after(self, moment: float) -> float:
        """Return the first time after this moment at which it is due; ``inf`` for never."""

    def last_between(self, moment: float, until: float) -> float | None:
        """Return when it is due last after one moment and up to another; ``None`` for never.

        The two are not far apart.
        """

    def count(self, moment: float, until: float) -> int:
        """Return how often it is due after one moment and up to another, that one included."""

    def shared(self) -> "Rule":
        """Return this rule for several processes, which have to agree on its times."""


@attrs.frozen
class Every:
    """At a fixed interval, without drift. The first time is one period after the start.

    :ivar period: the interval in seconds.
    """

    uses_wall_clock: ClassVar[bool] = False
    max_setback: ClassVar[float] = 0

    period: float
    start: float = 0

    def __str__(self) -> str:
        return f"every {self.period:g} s"

    def starting_at(self, start: float) -> Self:
        """See :class:`Rule`."""
        return attrs.evolve(self, start=start)

    def next_after(self, moment: float) -> float:
        """See :class:`Rule`."""
        return self._time(self._index(moment) + 1)

    def last_between(self, moment: float, until: float) -> float | None:
        """See :class:`Rule`."""
        return self._time(self._index(until)) if self.count(moment, until) else None

    def count(self, moment: float, until: float) -> int:
        """See :class:`Rule`."""
        return max(0, self._index(until) - self._index(moment))

    def shared(self) -> "SharedEvery":
        """See :class:`Rule`."""
        return SharedEvery(self.period)

    def _time(self, index: int) -> float:
        return self.start + index * self.period

    def _index(self, moment: float) -> int:
        """Return the index of the last time up to this moment."""
        index = math.floor((moment - self.start) / self.period)
        # The quotient is rounded, so the index may be off by one.
        if self._time(index) > moment:
            return index - 1
        return index + 1 if self._time(index + 1) <= moment else index


@attrs.frozen
class SharedEvery(Every):
    """At the multiples of an interval since the epoch, whenever a process has started."""

    uses_wall_clock: ClassVar[bool] = True
    max_setback: ClassVar[float] = 60

    def __str__(self) -> str:
        return f"every {self.period:g} s of the clock"

    def starting_at(self, start: float) -> Self:
        """See :class:`Rule`. The start makes no difference."""
        return self


def _with_single_blanks(text: str) -> str:
    return " ".join(text.split())


@attrs.frozen
class Cron:
    """By the five fields of a crontab: minute, hour, day of month, month, day of week.

    When daylight saving time begins or ends, it works like Debian's cron: a timer for a certain
    time of day runs once, even if that time is skipped or comes twice.

    :ivar expression: the fields, with names of days and months, lists, ranges and steps.
    :ivar zone: the time zone of the fields.
    :raises ValueError: if the fields are invalid; the text describes valid ones.
    """

    uses_wall_clock: ClassVar[bool] = True

    expression: str = attrs.field(converter=_with_single_blanks)
    zone: tzinfo = LOCAL_ZONE

    def __attrs_post_init__(self) -> None:
        problem = _find_problem(self.expression)
        if problem is not None:
            raise ValueError(
                "five fields as in a crontab (minute, hour, day of month, month, day of week), "
                f"like 30 3 * * *; this has {problem}"
            )

    def __str__(self) -> str:
        return self.expression

    @property
    def max_setback(self) -> float:
        """See :class:`Rule`. As in Debian's cron, it is three hours if a time of day is given."""
        minute, hour, *_ = self.expression.split()
        is_set = not minute.startswith("*") and not hour.startswith("*")
        return 3 * 3600 if is_set else 60

    def starting_at(self, start: float) -> Self:
        """See :class:`Rule`. The start makes no difference."""
        return self

    def next_after(self, moment: float) -> float:
        """See :class:`Rule`."""
        return next(self._times(moment), math.inf)

    def last_between(self, moment: float, until: float) -> float | None:
        """See :class:`Rule`."""
        return max(takewhile(lambda time: time <= until, self._times(moment)), default=None)

    def shared(self) -> Self:
        """See :class:`Rule`."""
        return self

    def count(self, moment: float, until: float) -> int:
        """See :class:`Rule`. The result is a thousand at most."""
        times = takewhile(lambda time: time <= until, self._times(moment))
        return sum(1 for _ in islice(times, _MAX_COUNTED))

    def _times(self, moment: float) -> Iterator[float]:
        # datetime would round a time just before a full minute up to it.
        local = datetime.fromtimestamp(math.floor(moment), self.zone)
        times = (each.timestamp() for each in CronSim(self.expression, local))
        # In an hour that comes twice, CronSim begins with the first one.
        return (time for time in times if time > moment)


def _find_problem(expression: str) -> str | None:
    fields = len(expression.split())
    if fields != 5:
        return f"{fields} of them"
    try:
        next(CronSim(expression, datetime(2000, 1, 1)))
    except StopIteration:
        return "days that never come"
    except (CronSimError, ValueError) as error:
        return f"a {str(error).lower()}"
    return None


@attrs.frozen
class Timer:
    """A timer, which sends PHP an event at certain times.

    :ivar name: its name, which is the message of the event.
    :ivar rule: computes when it is due.
    """

    name: str
    rule: Rule
