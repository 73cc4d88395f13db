"""Tests for :mod:`phpgw.backend.fastcgi.probe`; PHP-FPM is in memory."""

from phpgw.backend.errors import BackendBusy, BackendUnreachable
from tests.unit.backend.fastcgi.test_backend import (
    STDIN,
    FastCgiTestCase,
)


class ProbeTests(FastCgiTestCase):
    def test_worker_is_there(self) -> None:
        probed = self.backend.probe()
        worker = self.accept()
        self.assertIsNone(self.successResultOf(probed))
        self.assertEqual({}, worker.request())
        # It is there for whoever comes next.
        self.ask()
        self.assertIn(STDIN, worker.request())

    def test_closed_as_it_is_answered(self) -> None:
        probed = self.backend.probe().addCallback(lambda _: self.backend.close())
        self.accept().hang_up()
        self.successResultOf(probed)

    def test_no_worker(self) -> None:
        probed = self.backend.probe()
        self.accept(answers=False)
        self.reactor.advance(10)
        self.failureResultOf(probed, BackendBusy)

    def test_nobody(self) -> None:
        probed = self.backend.probe()
        self.reactor.advance(10)
        self.assertIn("no connection", str(self.failureResultOf(probed, BackendUnreachable).value))

    def test_cancelled(self) -> None:
        probed = self.backend.probe().addErrback(lambda _: None)
        probed.cancel()
        self.accept()
        self.reactor.advance(10)
        self.assertEqual([], self.reactor.getDelayedCalls())
