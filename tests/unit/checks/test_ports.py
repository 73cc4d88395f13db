"""Tests for :mod:`phpgw.checks.ports`, with real sockets."""

import os
import socket

from twisted.trial.unittest import SynchronousTestCase

from phpgw.checks import ports
from phpgw.checks.finding import Finding, Level
from phpgw.checks.ports import check_ports
from tests.support.checked_situation import situation
from tests.support.real.process import free_port
from tests.support.short_directory import short_directory


class PortTests(SynchronousTestCase):
    def check(self, endpoint: str) -> Finding:
        """The finding about one endpoint."""
        [finding] = check_ports(situation(listen=(endpoint,)))
        return finding

    def test_free(self) -> None:
        port = free_port()
        self.assertEqual(Level.OK, self.check(f"tcp:{port}:interface=127.0.0.1").level)
        self.assertEqual(Level.OK, self.check(f"tcp:{port}").level)

    def test_taken(self) -> None:
        """It says by whom, and the port that it proposes is right."""
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
            finding = self.check(f"tcp:{port}:interface=127.0.0.1")
        self.assertEqual(Level.WRONG, finding.level)
        self.assertIn(f"Port {port} is taken by python", finding.what)
        self.assertIn(f"(pid {os.getpid()})", finding.what)
        self.assertEqual(f'listen = "{port + 1}"', finding.fix)

    def test_not_allowed(self) -> None:
        def refuse(address: object) -> None:
            raise PermissionError(13, "Permission denied")

        self.patch(ports, "_bind", refuse)
        finding = self.check("tcp:80")
        self.assertEqual(Level.WRONG, finding.level)
        self.assertEqual("AmbientCapabilities=CAP_NET_BIND_SERVICE", finding.fix)

    def test_no_such_address(self) -> None:
        finding = self.check("tcp:8080:interface=192.0.2.1")
        self.assertEqual((Level.WRONG, 'listen = "8080"'), (finding.level, finding.fix))

    def test_sockets(self) -> None:
        path = short_directory(self) / "a.sock"
        self.assertEqual(Level.OK, self.check(f"unix:{path}").level)
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(path))
            server.listen()
            self.assertIn("Another program", self.check(f"unix:{path}").what)
        finding = self.check(f"unix:{path}/no/such.sock")
        self.assertEqual("RuntimeDirectory=phpgw", finding.fix)

    def test_unknown(self) -> None:
        self.assertEqual(Level.SKIPPED, self.check("systemd:domain=INET:index=0").level)
