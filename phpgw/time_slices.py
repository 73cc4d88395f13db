"""Long jobs in time slices: a few milliseconds in each turn of the reactor, round robin.

Whatever goes over all clients, or over many commands, is a generator that yields after each small
step. Between two slices the reactor reads from sockets and calls what is due, so nobody waits for
the end of somebody else's job.
"""

from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from time import perf_counter
from typing import Any, TypeVar, cast

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime

T = TypeVar("T")

# A job: yields after each step of some microseconds, and returns its result.
Steps = Generator[None, None, T]

# Seconds in each turn of the reactor for all jobs together.
_BUDGET = 0.004
# How many there may be before pushes that would be one more are refused.
_MOST_JOBS = 100
# How many jobs share a turn. More wait for the next: to change from one to another costs, too.
_SHARES = 4


class JobsStopped(Exception):
    """The gateway has ended before the job did, which is done in part."""


class TooManyJobs(Exception):
    """So many jobs run already that one that can come again later should not begin."""


@attrs.define(eq=False)
class _Job:
    steps: Steps[Any]
    done: Deferred[Any] = attrs.field(factory=Deferred)


class TimeSlices:
    """Runs jobs, a slice of each in its turn.

    :param budget: seconds in each turn of the reactor.
    :param now: a clock that tells how long a slice has taken. It is not the reactor's, which
        stands still in tests.
    """

    def __init__(
        self,
        reactor: IReactorTime,
        budget: float = _BUDGET,
        now: Callable[[], float] = perf_counter,
    ) -> None:
        self._reactor = reactor
        self._budget = budget
        self._now = now
        self._jobs: deque[_Job] = deque()
        self._call: IDelayedCall | None = None
        self._idle_waiters: list[Deferred[None]] = []

    def __len__(self) -> int:
        """Return how many jobs are under way."""
        return len(self._jobs)

    @property
    def is_full(self) -> bool:
        """Return whether there are so many jobs that whoever can wait with another should."""
        return len(self._jobs) >= _MOST_JOBS

    def run(self, steps: Steps[T], *, begins_now: bool = False) -> Deferred[T]:
        """Run a job; it begins with the reactor's next turn.

        :param begins_now: whether its first slice comes at once. Not where many such jobs can come
            in one turn.
        :returns: fires with what the job returns, or fails with what it raises. To cancel it only
            means that the result is not wanted.
        """
        job = _Job(steps)
        self._jobs.append(job)
        if begins_now:
            self._advance(job, self._now() + self._budget)
        self._go_on()
        return job.done

    def when_idle(self) -> Deferred[None]:
        """Fire once there is no job."""
        idle: Deferred[None] = Deferred()
        self._idle_waiters.append(idle)
        self._notice_idle()
        return idle

    def stop(self) -> None:
        """Let all jobs fail with :exc:`JobsStopped`, wherever they are."""
        while self._jobs:
            job = self._jobs.popleft()
            job.steps.close()
            job.done.errback(JobsStopped())
        self._notice_idle()

    def _go_on(self) -> None:
        if self._jobs and self._call is None:
            self._call = self._reactor.callLater(0, self._work)

    def _work(self) -> None:
        """Give the next jobs a slice each, until this turn's budget is used up."""
        start = self._now()
        share = self._budget / _SHARES
        used = 0.0
        while self._jobs and used < self._budget:
            job = self._jobs.popleft()
            # Before the job goes on, since it may be stopped by what it does.
            self._jobs.append(job)
            self._advance(job, start + used + share)
            used = self._now() - start
        self._call = None
        self._go_on()
        self._notice_idle()

    def _advance(self, job: _Job, until: float) -> None:
        """Go on with a job until a point in time, or its end."""
        steps, now = job.steps, self._now
        try:
            next(steps)
            while now() < until:
                next(steps)
        except StopIteration as end:
            self._jobs.remove(job)
            job.done.callback(end.value)
        except Exception:
            self._jobs.remove(job)
            job.done.errback()

    def _notice_idle(self) -> None:
        if not self._jobs:
            waiters, self._idle_waiters = self._idle_waiters, []
            for waiter in waiters:
                waiter.callback(None)


def pieces(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """Cut a sequence into pieces of this size, but for the last one."""
    for start in range(0, len(items), size):
        yield items[start : start + size]


def run_to_completion(steps: Steps[T]) -> T:
    """Run a job that is known to be short; return its result."""
    try:
        while True:
            next(steps)
    except StopIteration as end:
        return cast(T, end.value)
