"""Tests for :mod:`phpgw.pools.https.service`; all else is in tests/system/test_https_pool.py."""

from pathlib import Path

from twisted.internet.protocol import Factory
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from phpgw.pools.https.service import ApiPool, host_field
from phpgw.pools.kinds import make_pool
from phpgw.pools.server_endpoint import make_endpoint
from phpgw.settings.option import InvalidOption
from phpgw.settings.pool_config import PoolConfig
from phpgw.settings.pool_text import parse_pool
from phpgw.transport.tls_endpoint import UnusableTlsFile


def config(text: str) -> PoolConfig:
    return parse_pool(f"api={text}{'&' if '?' in text else '?'}wait=3s")


class ServiceTests(SynchronousTestCase):
    def test_made(self) -> None:
        for text in ("https://api.example", "http://127.0.0.1:8000/v1/"):
            pool = make_pool(MemoryReactorClock(), config(text))
            self.assertIsInstance(pool, ApiPool)
            self.assertEqual(0, pool.figures.in_use)

    def test_host(self) -> None:
        """The port is named if it is not the usual one: RFC 9110, section 7.2."""
        for text, host in (
            ("https://api.example/v1", b"api.example"),
            ("https://api.example:443", b"api.example"),
            ("https://api.example:80", b"api.example:80"),
            ("http://[::1]:9200", b"[::1]:9200"),
        ):
            self.assertEqual(host, host_field(config(text)))

    def test_header_file(self) -> None:
        """What is wrong in it is said at the start; at a reload, what is in use stays."""
        path = Path(self.mktemp()).absolute()
        path.write_text("wrong")
        text = f"https://api.example?header-file={path}"
        self.assertRaises(InvalidOption, make_pool, MemoryReactorClock(), config(text))
        path.write_text("X-Key: 1")
        pool = make_pool(MemoryReactorClock(), config(text))
        path.write_text("wrong")
        pool.reload()

    def test_bad_ca_file(self) -> None:
        """The file is read for each connection, and what is wrong with it is said."""
        for text in ("none", "-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n"):
            path = Path(self.mktemp()).absolute()
            path.write_text(text)
            endpoint = make_endpoint(
                MemoryReactorClock(), config(f"https://api.example?ca-file={path}")
            )
            failure = self.failureResultOf(endpoint.connect(Factory()), UnusableTlsFile)
            self.assertIn("certificate", failure.getErrorMessage())
