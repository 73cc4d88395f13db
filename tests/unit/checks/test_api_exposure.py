"""Tests for :mod:`phpgw.checks.api_exposure`; those with a proxy: test_check_public_way."""

from twisted.trial.unittest import SynchronousTestCase

from phpgw.checks.api_exposure import check_exposure
from phpgw.checks.finding import Finding, Level
from tests.support.prepared_connections import PreparedConnections

_NOT_FOUND = b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno"
_OPEN = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{"clients_now": 1}'
_REFUSED = b'HTTP/1.1 403 Forbidden\r\nContent-Type: application/json\r\n\r\n{"error": "no"}'
_HTML = b"HTTP/1.1 403 Forbidden\r\nContent-Type: text/html\r\n\r\n<h1>no</h1>"


class ExposureTests(SynchronousTestCase):
    def check(self, *responses: bytes | OSError) -> Finding:
        connections = PreparedConnections([*responses])
        self.addCleanup(connections.close)
        [finding] = check_exposure(connections)  # type: ignore[arg-type]
        self.assertEqual("api-exposed", finding.id)
        return finding

    def test_hidden(self) -> None:
        """Whatever is not the gateway's answer is none of the API."""
        self.assertEqual(Level.OK, self.check(_NOT_FOUND, _HTML, OSError("refused")).level)

    def test_open(self) -> None:
        """One target that is open is enough, at the root or below the WebSocket's path."""
        for responses in ((_OPEN, _NOT_FOUND, _NOT_FOUND), (_NOT_FOUND, _REFUSED, _OPEN)):
            found = self.check(*responses)
            self.assertEqual((Level.WRONG, "location = /live/ws {"), (found.level, found.fix))

    def test_passed_on(self) -> None:
        found = self.check(_NOT_FOUND, _REFUSED, _NOT_FOUND)
        self.assertEqual((Level.WARN, "location = /live/ws {"), (found.level, found.fix))
        self.assertIn("/live/stats", found.what)
