"""Tests for :mod:`phpgw.backend.http.upstream`."""

from phpgw.backend.concurrency_limit import ConcurrencyLimit
from phpgw.backend.upstream import UpstreamService
from tests.support.upstream_test_case import UpstreamTestCase


class HttpUpstreamTests(UpstreamTestCase):
    def test_web_server(self) -> None:
        chosen = self.upstream(php_url="http://localhost/ws.php")
        self.assertIsInstance(chosen.backend, ConcurrencyLimit)
        self.assertIn("http://localhost/ws.php", chosen.description)
        self.assertIs(UpstreamService, type(chosen.service))

    def test_host_that_has_no_certificate(self) -> None:
        complaint = self.complaint(php_url="https://my_php/")
        self.assertIn("--php-url: got 'https://my_php/'; expected for https: the name", complaint)
