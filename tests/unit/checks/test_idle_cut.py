"""Tests for :mod:`phpgw.checks.idle_cut`; those with a proxy: test_check_public_way."""

from twisted.trial.unittest import SynchronousTestCase

from phpgw.checks.finding import Finding, Level
from phpgw.checks.idle_cut import check_idle
from tests.support.prepared_connections import PreparedConnections

_ACCEPTED = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n"


class IdleTests(SynchronousTestCase):
    def check(
        self,
        response: bytes | OSError,
        seconds: float = 5,
        ping_interval: float = 25,
        stays_open: bool = False,
    ) -> Finding:
        connections = PreparedConnections([response], stays_open=stays_open)
        self.addCleanup(connections.close)
        [finding] = check_idle(
            connections,  # type: ignore[arg-type]
            "token",
            "http://site.example",
            seconds,
            ping_interval,
        )
        self.assertEqual("idle-cut", finding.id)
        return finding

    def test_lasts(self) -> None:
        """What comes meanwhile, such as a ping, is read."""
        found = self.check(_ACCEPTED + b"\x89\x00", seconds=0.05, stays_open=True)
        self.assertEqual(Level.OK, found.level)

    def test_cut(self) -> None:
        """Far below the interval of pings, a cut is wrong; without pings always."""
        for interval, fix in ((25, "proxy_read_timeout 90s;"), (60, "proxy_read_timeout 180s;")):
            found = self.check(_ACCEPTED, ping_interval=interval)
            self.assertEqual((Level.WRONG, fix), (found.level, found.fix))
        self.assertIn("pings are off", self.check(_ACCEPTED, ping_interval=0).what)

    def test_cut_late(self) -> None:
        """A cut long after a ping would have come is none that clients see."""
        found = self.check(_ACCEPTED, ping_interval=1e-9)
        self.assertEqual(Level.OK, found.level)

    def test_no_connection(self) -> None:
        for response in (OSError("refused"), b"HTTP/1.1 404 Not Found\r\n\r\nno"):
            self.assertEqual(Level.SKIPPED, self.check(response).level)
