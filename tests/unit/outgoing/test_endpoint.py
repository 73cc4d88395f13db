"""Tests for :mod:`phpgw.outgoing.endpoint`; those with real TLS are system tests."""

from pathlib import Path

from twisted.internet.protocol import Factory
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from phpgw.outgoing.endpoint import ServerEndpoint, UnusableAuthorities, UnusableName
from phpgw.settings.outgoing_url import parse_server_url


class FailureTests(SynchronousTestCase):
    def test_name_that_no_certificate_has(self) -> None:
        """The attempt fails like others; TLS alone is in the way."""
        for host in ("my_host", "-a.example", "ab--cd.example", "xn--zz.example"):
            url = parse_server_url(f"wss://{host}/")
            connecting = ServerEndpoint(MemoryReactorClock(), url).connect(Factory())
            failure = self.failureResultOf(connecting, UnusableName)
            self.assertIn(host, failure.getErrorMessage())

    def test_authorities_that_are_gone(self) -> None:
        url, path = parse_server_url("wss://example.com/"), Path(self.mktemp())
        connecting = ServerEndpoint(MemoryReactorClock(), url, path).connect(Factory())
        self.failureResultOf(connecting, UnusableAuthorities)
