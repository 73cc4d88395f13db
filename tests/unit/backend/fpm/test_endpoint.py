"""Tests for :mod:`phpgw.backend.fpm.endpoint`."""

from pathlib import Path

from twisted.internet.error import ConnectError
from twisted.internet.protocol import Factory
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from phpgw.backend.fpm.endpoint import NOT_READY, FpmEndpoint


class FpmEndpointTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor = MemoryReactorClock()
        self.endpoint = FpmEndpoint(self.reactor)

    def test_no_php_fpm(self) -> None:
        """Until it leads anywhere, it is an obstacle, and connections fail."""
        self.assertEqual(NOT_READY, self.endpoint.obstacle())
        self.failureResultOf(self.endpoint.connect(Factory()), ConnectError)
        self.assertEqual((), self.endpoint.observables())

    def test_leads_to_the_latest_socket(self) -> None:
        """Those who wait, and those who observe, are told."""
        ready = self.endpoint.when_ready()
        seen: list[Path | None] = []
        self.endpoint.observers.append(seen.append)
        for name in ("/1.sock", "/2.sock"):
            self.endpoint.lead_to(Path(name))
            self.endpoint.connect(Factory())
        self.successResultOf(ready)
        self.successResultOf(self.endpoint.when_ready())
        self.assertIsNone(self.endpoint.obstacle())
        self.endpoint.lead_to(None)
        self.assertFalse(self.endpoint.is_ready)
        self.assertEqual([Path("/1.sock"), Path("/2.sock"), None], seen)
        self.assertEqual(["/1.sock", "/2.sock"], [each[0] for each in self.reactor.unixClients])
