"""The delay until a process that has ended is started again."""

from twisted.trial.unittest import SynchronousTestCase

from phpgw.process.restart_delay import RestartDelay


class DelayTests(SynchronousTestCase):
    def test_doubles(self) -> None:
        """It doubles up to ten seconds, and begins anew once a process was stable."""
        delay = RestartDelay()
        delays = [delay.take() for _ in range(9)]
        self.assertEqual([0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10.0, 10.0], delays)
        delay.reset()
        self.assertEqual(0.1, delay.take())
