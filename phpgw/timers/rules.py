"""When a timer is due: at an interval, or by cron's rules in local time."""

import math
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from itertools import islice, takewhile
from typing import ClassVar, Protocol, Self

import attrs
from cronsim import CronSim, CronSimError

# After a clock was set right by years, nobody wants the minutes in between counted.
_MOST_COUNTED = 1000


class LocalZone(tzinfo):
    """The machine's time zone as the C library knows it, from ``TZ`` or ``/etc/localtime``.

    Naive datetimes are in that zone, through all its changes (PEP 495).
    """

    def utcoffset(self, moment: datetime | None) -> timedelta | None:
        """How far local time is ahead of UTC at this local time."""
        if moment is None:
            return None
        local = moment.replace(tzinfo=None)
        return local - datetime.fromtimestamp(local.timestamp(), UTC).replace(tzinfo=None)

    def dst(self, moment: datetime | None) -> timedelta | None:
        """Not known; only the whole offset matters."""
        return None

    def tzname(self, moment: datetime | None) -> str | None:
        """Not known."""
        return None

    def fromutc(self, moment: datetime) -> datetime:
        """The local time at a moment in UTC."""
        stamp = moment.replace(tzinfo=UTC).timestamp()
        return datetime.fromtimestamp(stamp).replace(tzinfo=self)


LOCAL_ZONE = LocalZone()


class Rule(Protocol):
    """Says when a timer is due.

    :cvar by_time_of_day: whether its times are seconds since the epoch, which may be set; otherwise
        they are of a clock that never is.
    :ivar unrepeated: by how many seconds that clock may be set back without anything being due for
        a second time.
    """

    by_time_of_day: ClassVar[bool]

    @property
    def unrepeated(self) -> float: ...

    def since(self, start: float) -> Self:
        """This rule for timers that begin at this time."""

    def after(self, moment: float) -> float:
        """When it is due next after this moment; ``inf`` for never."""

    def count(self, moment: float, until: float) -> int:
        """How many times it is due after one moment and until another, that one included."""


@attrs.frozen
class Every:
    """Again and again, without drift; for the first time one period after the start.

    :ivar period: seconds.
    """

    by_time_of_day: ClassVar[bool] = False
    unrepeated: ClassVar[float] = 0

    period: float
    start: float = 0

    def __str__(self) -> str:
        return f"every {self.period:g} s"

    def since(self, start: float) -> Self:
        """See :class:`Rule`."""
        return attrs.evolve(self, start=start)

    def after(self, moment: float) -> float:
        """See :class:`Rule`."""
        return self._time(self._number(moment) + 1)

    def count(self, moment: float, until: float) -> int:
        """See :class:`Rule`."""
        return max(0, self._number(until) - self._number(moment))

    def _time(self, number: int) -> float:
        return self.start + number * self.period

    def _number(self, moment: float) -> int:
        """The number of the last time until this moment."""
        number = math.floor((moment - self.start) / self.period)
        # The quotient is rounded, and may be off by one.
        if self._time(number) > moment:
            return number - 1
        return number + 1 if self._time(number + 1) <= moment else number


def _with_single_blanks(text: str) -> str:
    return " ".join(text.split())


@attrs.frozen
class Cron:
    """By the five fields of a crontab's line: minute, hour, day of month, month, day of week.

    Around a change of the clocks it is as with Debian's cron: what is set for a certain time of
    day runs once, also where that time is left out or comes twice.

    :ivar expression: the fields; names of days and months, lists, ranges and steps are understood.
    :ivar zone: whose time of day is meant.
    :raises ValueError: if the fields cannot be read; it says what would be right.
    """

    by_time_of_day: ClassVar[bool] = True

    expression: str = attrs.field(converter=_with_single_blanks)
    zone: tzinfo = LOCAL_ZONE

    def __attrs_post_init__(self) -> None:
        problem = _problem_of(self.expression)
        if problem is not None:
            raise ValueError(
                "five fields as in a crontab (minute, hour, day of month, month, day of week), "
                f"like 30 3 * * *; this has {problem}"
            )

    def __str__(self) -> str:
        return self.expression

    @property
    def unrepeated(self) -> float:
        """See :class:`Rule`; as in Debian's cron, three hours where a time of day is set."""
        minute, hour, *_ = self.expression.split()
        is_set = not minute.startswith("*") and not hour.startswith("*")
        return 3 * 3600 if is_set else 60

    def since(self, start: float) -> Self:
        """See :class:`Rule`; the start does not matter."""
        return self

    def after(self, moment: float) -> float:
        """See :class:`Rule`."""
        return next(self._times(moment), math.inf)

    def count(self, moment: float, until: float) -> int:
        """See :class:`Rule`; no more than a thousand."""
        times = takewhile(lambda time: time <= until, self._times(moment))
        return sum(1 for _ in islice(times, _MOST_COUNTED))

    def _times(self, moment: float) -> Iterator[float]:
        # datetime would round up what is a hair's breadth before a full minute.
        local = datetime.fromtimestamp(math.floor(moment), self.zone)
        times = (each.timestamp() for each in CronSim(self.expression, local))
        # In an hour that comes twice, its simulation begins with the first.
        return (time for time in times if time > moment)


def _problem_of(expression: str) -> str | None:
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
    """Something that PHP is told of at certain times.

    :ivar name: what it is called.
    :ivar rule: when it is due.
    """

    name: str
    rule: Rule
