"""Tests for :mod:`phpgw.outgoing.endpoint`; those with real TLS are system tests."""

from pathlib import Path

from twisted.internet.protocol import Factory
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from phpgw.outgoing.endpoint import server_endpoint
from phpgw.settings.outgoing_url import parse_server_url
from phpgw.transport.tls_endpoint import UnusableName, UnusableTlsFile


class FailureTests(SynchronousTestCase):
    def test_name_that_no_certificate_has(self) -> None:
        """The attempt fails like others; TLS alone is in the way."""
        for host in ("my_host", "-a.example", "ab--cd.example", "xn--zz.example"):
            url = parse_server_url(f"wss://{host}/")
            connecting = server_endpoint(MemoryReactorClock(), url).connect(Factory())
            failure = self.failureResultOf(connecting, UnusableName)
            self.assertIn(host, failure.getErrorMessage())

    def test_authorities_that_are_gone(self) -> None:
        url, path = parse_server_url("wss://example.com/"), Path(self.mktemp())
        connecting = server_endpoint(MemoryReactorClock(), url, path).connect(Factory())
        self.failureResultOf(connecting, UnusableTlsFile)
