"""Histograms of durations, and the counts of one type of event."""

from bisect import bisect_left
from collections.abc import Iterator, Sequence

import attrs

from phpgw.labelled_counts import LabelledCounts

# The upper limits of the buckets, in seconds; the last bucket has no limit.
BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
# PHP has sent a usable reply, which may also be a refusal; PHP has not; PHP was not asked, since
# too many events wait or the circuit breaker is open; nobody needs the reply any longer.
OUTCOMES = ("replied", "failed", "refused", "withdrawn")


@attrs.define
class Histogram:
    """A histogram of durations, with a bucket for each of :data:`BOUNDS` and one above them.

    :ivar counts: how many durations each bucket has; one that equals a bound is below it.
    :ivar total: the sum of all durations, in seconds.
    """

    counts: list[int] = attrs.field(factory=lambda: [0] * (len(BOUNDS) + 1))
    total: float = 0.0

    def observe(self, seconds: float) -> None:
        """Count a duration."""
        self.counts[bisect_left(BOUNDS, seconds)] += 1
        self.total += seconds

    def cumulative(self) -> Iterator[tuple[float, int]]:
        """Return each bound with the number of durations up to it; at last, infinity with all."""
        count = 0
        for bound, more in zip((*BOUNDS, float("inf")), self.counts, strict=True):
            count += more
            yield bound, count


@attrs.define
class EventMetrics:
    """Counts of how the events of one type have ended, and histograms of how long they took.

    :ivar outcomes: how many have ended, by outcome, one of :data:`OUTCOMES`.
    :ivar waiting: from when an event began to when PHP was asked, or to its end if it never was.
    :ivar php: from then to the end of PHP's reply, with retries; only of events PHP was asked with.
    :ivar whole: from when an event began until its reply was carried out.
    """

    outcomes: LabelledCounts = attrs.field(
        factory=lambda: LabelledCounts(dict.fromkeys(OUTCOMES, 0))
    )
    waiting: Histogram = attrs.field(factory=Histogram)
    php: Histogram = attrs.field(factory=Histogram)
    whole: Histogram = attrs.field(factory=Histogram)

    def count(self, outcome: str, waited: float, php_seconds: float | None, whole: float) -> None:
        """Count an event that has ended; all durations are in seconds."""
        self.outcomes[outcome] += 1
        # As Histogram.observe(), without its calls, which would take a third of the time.
        waiting, total = self.waiting, self.whole
        waiting.counts[bisect_left(BOUNDS, waited)] += 1
        waiting.total += waited
        if php_seconds is not None:
            php = self.php
            php.counts[bisect_left(BOUNDS, php_seconds)] += 1
            php.total += php_seconds
        total.counts[bisect_left(BOUNDS, whole)] += 1
        total.total += whole


def quantile(counts: Sequence[int], share: float) -> float | None:
    """Return about how long the part of the durations takes that is not longer, in seconds.

    As in Prometheus, the durations in a bucket count as evenly spread; those in the last one as its
    lower limit.

    :param counts: how many durations each bucket has.
    :param share: the part, from 0 to 1.
    :returns: ``None`` if there is no duration.
    """
    rank = share * sum(counts)
    if not rank:
        return None
    lower = 0.0
    for count, bound in zip(counts, BOUNDS, strict=False):
        if count and rank <= count:
            return lower + (bound - lower) * rank / count
        rank -= count
        lower = bound
    return lower
