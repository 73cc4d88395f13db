"""Tests for :mod:`phpgw.time_slices`: long jobs share the reactor's turns."""

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from phpgw.time_slices import JobsStopped, Steps, TimeSlices, run_to_completion
from tests.support.fake_clocks import ManualReactor, TickingClock


class SlicesTestCase(SynchronousTestCase):
    """Each step takes a second, and the budget of a turn is eight seconds."""

    def setUp(self) -> None:
        self.clock = ManualReactor()
        self.slices = TimeSlices(self.clock, 8, TickingClock())
        self.done: list[str] = []

    def steps(self, name: str, count: int) -> Steps[str]:
        """A job that records its steps."""
        for _ in range(count):
            self.done.append(name)
            yield
        return name.upper()


class RunTests(SlicesTestCase):
    def test_short(self) -> None:
        """A job begins in the next turn, so that many new jobs do not add up."""
        job = self.slices.run(self.steps("a", 3))
        self.assertEqual(self.done, [])
        self.assertEqual(len(self.slices), 1)
        self.assertEqual(self.clock.run(), 1)
        self.assertEqual(self.done, ["a"] * 3)
        self.assertEqual(self.successResultOf(job), "A")
        self.assertEqual(len(self.slices), 0)

    def test_first_slice_at_once(self) -> None:
        """The first slice runs at once, and completes a short job."""
        self.successResultOf(self.slices.run(self.steps("a", 3), begins_now=True))
        long = self.slices.run(self.steps("b", 50), begins_now=True)
        self.assertTrue(0 < self.done.count("b") < 10)
        self.clock.run()
        self.assertEqual(self.successResultOf(long), "B")

    def test_bounded_in_each_turn(self) -> None:
        """A job that is four times as long takes four times as many turns."""
        most = 0
        counts = []
        for length in (100, 400):
            self.slices.run(self.steps("a", length))
            turns = 0
            while self.clock.is_busy:
                self.done.clear()
                self.clock.turn()
                turns += 1
                most = max(most, len(self.done))
            counts.append(turns)
        self.assertLessEqual(most, 8)
        self.assertEqual(round(counts[1] / counts[0]), 4)

    def test_round_robin(self) -> None:
        """A short job does not wait for a long one."""
        self.slices.run(self.steps("long", 1000))
        self.clock.turn()
        short = self.slices.run(self.steps("short", 2))
        self.clock.turn()
        self.clock.turn()
        self.assertEqual(self.successResultOf(short), "SHORT")
        self.assertLess(len(self.done), 30)

    def test_order_within_a_job(self) -> None:
        def steps() -> Steps[list[str]]:
            first = yield from self.steps("a", 20)
            second = yield from self.steps("b", 20)
            return [first, second]

        job = self.slices.run(steps())
        self.slices.run(self.steps("other", 100))
        self.clock.run()
        self.assertEqual(self.successResultOf(job), ["A", "B"])
        self.assertEqual([name for name in self.done if name != "other"], ["a"] * 20 + ["b"] * 20)

    def test_error(self) -> None:
        """The Deferred fails with the job's exception."""

        def steps() -> Steps[None]:
            yield
            raise ZeroDivisionError

        job = self.slices.run(steps())
        other = self.slices.run(self.steps("a", 50))
        self.clock.run()
        self.failureResultOf(job, ZeroDivisionError)
        self.assertEqual(self.successResultOf(other), "A")

    def test_job_that_leads_to_another(self) -> None:
        """A job can start another one at its end."""
        second: list[Deferred[str]] = []
        first = self.slices.run(self.steps("a", 5))
        first.addCallback(lambda _: second.append(self.slices.run(self.steps("b", 5))))
        self.clock.run()
        self.assertEqual(self.successResultOf(second[0]), "B")

    def test_unwanted(self) -> None:
        """A cancelled job runs to its end."""
        job = self.slices.run(self.steps("a", 100))
        self.clock.turn()
        job.cancel()
        job.addErrback(lambda _: None)
        self.clock.run()
        self.assertEqual(len(self.done), 100)

    def test_at_once(self) -> None:
        self.assertEqual(run_to_completion(self.steps("a", 3)), "A")
        self.assertEqual(self.done, ["a"] * 3)

    def test_full(self) -> None:
        while not self.slices.is_full:
            self.slices.run(self.steps("a", 1))
        self.assertEqual(len(self.slices), 100)
        self.clock.run()
        self.assertFalse(self.slices.is_full)


class EndTests(SlicesTestCase):
    def test_idle(self) -> None:
        self.slices.run(self.steps("a", 20))
        idle = self.slices.when_idle()
        self.assertNoResult(idle)
        self.clock.turn()
        self.assertNoResult(idle)
        self.clock.run()
        self.successResultOf(idle)
        self.successResultOf(self.slices.when_idle())

    def test_stop(self) -> None:
        """All running and waiting jobs fail and stop."""
        jobs = [self.slices.run(self.steps("a", 100))]
        self.clock.turn()
        jobs.append(self.slices.run(self.steps("b", 100)))
        idle = self.slices.when_idle()
        self.slices.stop()
        for job in jobs:
            self.failureResultOf(job, JobsStopped)
        self.successResultOf(idle)
        done = len(self.done)
        self.clock.run()
        self.assertEqual(len(self.done), done)
