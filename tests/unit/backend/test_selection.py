"""Tests for :mod:`phpgw.backend.selection`."""

import hmac
import time
from pathlib import Path
from typing import Any

from twisted.internet.testing import MemoryReactorClock, StringTransport

from phpgw.backend.event import Event
from phpgw.backend.selection import make_upstream
from phpgw.metrics import Metrics
from phpgw.settings import Settings
from tests.support.fakes import identity
from tests.support.upstream_test_case import UpstreamTestCase
from tests.unit.backend.fastcgi.test_backend import TAKEN


class SelectionTests(UpstreamTestCase):
    def test_as_many_at_once_as_an_installed_php_fpm_has_workers(self) -> None:
        ways = ({"php_url": "http://php/"}, {"php_script": "/a", "php_fpm": "tcp:php:9000"})
        for way in ways:
            self.assertEqual(5, self.upstream(**way).concurrency)
            self.assertEqual(40, self.upstream(**way, php_concurrency=40).concurrency)

    def secret(self, content: bytes) -> Path:
        path = Path(self.mktemp()).absolute()
        path.write_bytes(content)
        return path

    def test_signed(self) -> None:
        """On every upstream; the white space around the secret is an editor's."""
        upstreams: tuple[dict[str, Any], ...] = (
            {"php_url": "http://127.0.0.1/ws.php"},
            {"php_script": "/ws.php", "php_fpm": "tcp:127.0.0.1:9000"},
        )
        self.patch(time, "time", lambda: 1700000000.0)
        for where in upstreams:
            self.patch(time, "time", lambda: 1700000000.9)
            reactor = MemoryReactorClock()
            settings = Settings(secret_file=self.secret(b" secret\n"), **where)
            chosen = make_upstream(settings, reactor, Metrics())
            chosen.backend.ask(Event("server", b"hi", identity("c")))
            factory: Any = reactor.tcpClients[0][2]
            transport = StringTransport()
            protocol = factory.buildProtocol(None)
            protocol.makeConnection(transport)
            if "php_fpm" in where:
                # A worker takes the connection.
                protocol.dataReceived(TAKEN * 2)
            signed = b"1700000000.type=server&message=hi&client_id=c"
            signature = hmac.new(b"secret", signed, "sha256").hexdigest()
            self.assertIn(b"sha256=" + signature.encode(), transport.value())

    def test_secret_that_is_none(self) -> None:
        empty = self.secret(b" \n")
        complaint = self.complaint(php_url="http://localhost/ws.php", secret_file=empty)
        self.assertIn(f"--secret-file: got '{empty}'; expected a file with a secret", complaint)

    def test_secret_that_cannot_be_read(self) -> None:
        directory = Path(self.mktemp()).absolute()
        directory.mkdir()
        complaint = self.complaint(php_url="http://localhost/ws.php", secret_file=directory)
        self.assertIn("--secret-file", complaint)
        self.assertIn("expected a readable file", complaint)
