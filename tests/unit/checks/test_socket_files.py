"""Tests for :mod:`phpgw.checks.socket_files`."""

import tomllib
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from phpgw.checks.finding import Finding, Level
from phpgw.checks.socket_files import check_sockets
from phpgw.settings.endpoint_text import escape
from phpgw.settings.server_address import UnixServer, parse_server_address
from tests.support.checked_situation import brief, running
from tests.support.short_directory import short_directory


class SocketFileTests(SynchronousTestCase):
    def check(self, path: Path) -> Finding:
        [finding] = check_sockets(running(listen=(f"unix:{path}", "tcp:8080")))
        return finding

    def test_modes(self) -> None:
        path = Path(self.mktemp()).absolute()
        path.touch()
        for mode, level in ((0o666, Level.OK), (0o660, Level.OK), (0o600, Level.WARN)):
            path.chmod(mode)
            self.assertEqual(("sockets", level), brief(self.check(path)))

    def test_fix(self) -> None:
        path = Path(self.mktemp()).absolute()
        path.touch(0o600)
        self.assertEqual(f'listen = "unix:{path}:mode=666"', self.check(path).fix)

    def test_hostile_path(self) -> None:
        """The line names the same socket."""
        path = short_directory(self) / 'a":b'
        path.touch(0o600)
        [finding] = check_sockets(running(listen=(f"unix:{escape(str(path))}",)))
        address = parse_server_address(tomllib.loads(finding.fix)["listen"])
        assert address is not None
        self.assertEqual(UnixServer(str(path), "666"), address.server)

    def test_missing(self) -> None:
        self.assertEqual(Level.SKIPPED, self.check(Path("/no/such.sock")).level)
