"""Cooperative scheduling of long jobs: a few milliseconds in each turn of the reactor, round robin.

A job over all clients, or over many commands, is a generator that yields after each small step.
Between two slices, the reactor handles sockets and delayed calls. So no client waits until the job
of another one is complete.
"""

from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from time import perf_counter
from typing import Any, TypeVar, cast

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime

T = TypeVar("T")

# A job is a generator. It yields after each step of some microseconds, and returns its result.
Steps = Generator[None, None, T]

# Seconds for all jobs together, in one turn of the reactor.
_TURN_SECONDS = 0.004
# The maximum number of jobs. Beyond it, requests that need a job are refused.
_MAX_JOBS = 100
# The number of jobs that run in one turn. A change from one job to another takes time too.
_JOBS_PER_TURN = 4


class JobsStopped(Exception):
    """The gateway stopped while the job was running. A part of it may be done."""


class TooManyJobs(Exception):
    """The maximum number of jobs is running. The client can try again later."""


@attrs.define(eq=False)
class _Job:
    steps: Steps[Any]
    done: Deferred[Any] = attrs.field(factory=Deferred)


class TimeSlices:
    """A round-robin scheduler for jobs.

    :param budget: seconds for all jobs together, in one turn of the reactor.
    :param now: a clock that measures slices. It is not the reactor's, which stands still in tests.
    """

    def __init__(
        self,
        reactor: IReactorTime,
        budget: float = _TURN_SECONDS,
        now: Callable[[], float] = perf_counter,
    ) -> None:
        self._reactor = reactor
        self._budget = budget
        self._now = now
        self._jobs: deque[_Job] = deque()
        self._call: IDelayedCall | None = None
        self._idle_waiters: list[Deferred[None]] = []

    def __len__(self) -> int:
        """Return the number of running jobs."""
        return len(self._jobs)

    @property
    def is_full(self) -> bool:
        """Return whether the maximum number of jobs is running."""
        return len(self._jobs) >= _MAX_JOBS

    def run(self, steps: Steps[T], *, begins_now: bool = False) -> Deferred[T]:
        """Run a job. It begins in the reactor's next turn.

        :param begins_now: whether the first slice runs at once. Do not use it where many jobs can
            start in one turn.
        :returns: fires with the job's result, or fails with its exception. Cancelling it does not
            stop the job.
        """
        job = _Job(steps)
        self._jobs.append(job)
        if begins_now:
            self._advance(job, self._now() + self._budget)
        self._schedule()
        return job.done

    def when_idle(self) -> Deferred[None]:
        """Return a Deferred that fires when no job is running."""
        idle: Deferred[None] = Deferred()
        self._idle_waiters.append(idle)
        self._fire_if_idle()
        return idle

    def stop(self) -> None:
        """Stop all jobs. They fail with :exc:`JobsStopped`."""
        while self._jobs:
            job = self._jobs.popleft()
            job.steps.close()
            job.done.errback(JobsStopped())
        self._fire_if_idle()

    def _schedule(self) -> None:
        if self._jobs and self._call is None:
            self._call = self._reactor.callLater(0, self._work)

    def _work(self) -> None:
        """Run a slice of each of the next jobs, until the budget of this turn is used up."""
        start = self._now()
        slice_seconds = self._budget / _JOBS_PER_TURN
        used = 0.0
        while self._jobs and used < self._budget:
            job = self._jobs.popleft()
            # Before the job continues, since the job itself may call stop().
            self._jobs.append(job)
            self._advance(job, start + used + slice_seconds)
            used = self._now() - start
        self._call = None
        self._schedule()
        self._fire_if_idle()

    def _advance(self, job: _Job, until: float) -> None:
        """Continue a job until this time, or its end."""
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

    def _fire_if_idle(self) -> None:
        if not self._jobs:
            waiters, self._idle_waiters = self._idle_waiters, []
            for waiter in waiters:
                waiter.callback(None)


def chunks(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """Yield slices of a sequence of this size; the last one may be smaller."""
    for start in range(0, len(items), size):
        yield items[start : start + size]


def run_to_completion(steps: Steps[T]) -> T:
    """Run a short job to its end, without time slices; return its result."""
    try:
        while True:
            next(steps)
    except StopIteration as end:
        return cast(T, end.value)
