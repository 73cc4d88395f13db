"""Whether a soak went well, and whether a curve is flat.

A curve's trend is the median of the slopes between any two of its points (Theil-Sen), which a few
points that are far off do not change.
"""

from collections.abc import Iterator, Sequence
from itertools import combinations
from statistics import median

import attrs

from benchmarks.soak.record import Record

# How much of a curve is its beginning, in which caches fill.
WARM_UP = 1 / 3
# More points make it slow, for nothing.
_MOST_POINTS = 400
# By how much memory and objects may seem to grow after that, as shares of what there is.
_MEMORY_GROWTH = 0.02
_OBJECTS_GROWTH = 0.03

Point = tuple[float, float]


@attrs.frozen
class Trend:
    """The line through a curve, from the warm-up's end on.

    :ivar level: the median of its values.
    :ivar slope: per second.
    :ivar seconds: how long it is.
    """

    level: float
    slope: float
    seconds: float

    @property
    def growth(self) -> float:
        """From its beginning to its end, as a share of its level."""
        return self.slope * self.seconds / self.level

    @property
    def per_hour(self) -> float:
        """The same if it went on for an hour."""
        return self.slope * 3600 / self.level


def trend(points: Sequence[Point]) -> Trend:
    """The trend of a curve.

    :param points: in order: when, in seconds since the start, and the value then.
    :raises ValueError: if there are too few.
    """
    late = [point for point in points if point[0] >= points[-1][0] * WARM_UP]
    if len(late) < 3:
        raise ValueError("a trend takes three points after the warm-up")
    thinned = late[:: len(late) // _MOST_POINTS + 1]
    return Trend(
        level=median(value for _, value in late),
        slope=median((b[1] - a[1]) / (b[0] - a[0]) for a, b in combinations(thinned, 2)),
        seconds=late[-1][0] - late[0][0],
    )


def memory(record: Record) -> Trend:
    """Of the gateway's memory."""
    return trend([(sample.seconds, sample.resident) for sample in record.samples])


def objects(record: Record) -> Trend:
    """Of the number of its objects."""
    return trend([(count.seconds, count.objects) for count in record.counts])


def failures(record: Record) -> Iterator[str]:
    """What did not go well."""
    ledger, end = record.ledger, record.end
    assert end is not None, "it is not over"
    yield from ledger.complaints
    unanswered = ledger.asked - ledger.answered - ledger.failed
    if unanswered:
        yield f"{unanswered} messages were not answered"
    for what, curve, limit in (
        ("memory", memory(record), _MEMORY_GROWTH),
        ("objects", objects(record), _OBJECTS_GROWTH),
    ):
        if curve.growth > limit:
            yield f"{what} grew by {curve.growth:.1%} in {curve.seconds:.0f} s"
    if end.gauges:
        yield f"left when all had gone: {end.gauges}"
    if end.open_files:
        yield f"{end.open_files} descriptors are left open"
    if end.status:
        yield f"the gateway ended with status {end.status}"
