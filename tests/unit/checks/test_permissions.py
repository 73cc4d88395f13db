"""Tests for :mod:`phpgw.checks.permissions`, and of what is said about PHP-FPM's socket."""

import os
import socket

import attrs
from twisted.trial.unittest import SynchronousTestCase

from phpgw.checks.finding import Finding, Level
from phpgw.checks.permissions import closed_directories, may_connect, may_read
from phpgw.checks.php_address import check_php_address
from phpgw.checks.situation import Credentials
from tests.support.checked_situation import situation
from tests.support.short_directory import short_directory

# Nobody of this machine has these ids.
_STRANGER = Credentials(54321, frozenset((54321,)))


class SocketTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.directory = short_directory(self)
        self.path = self.directory / "fpm.sock"
        server = socket.socket(socket.AF_UNIX)
        self.addCleanup(server.close)
        server.bind(str(self.path))
        server.listen()


class PermissionTests(SocketTestCase):
    def test_modes(self) -> None:
        """The class of the user alone counts: owner, group or others."""
        owner = Credentials(os.geteuid() or 54322, frozenset())
        os.chown(self.path, owner.uid, self.path.stat().st_gid)
        member = Credentials(54321, frozenset((self.path.stat().st_gid,)))
        for mode, who, is_allowed in (
            (0o600, owner, True),
            (0o060, owner, False),
            (0o060, member, True),
            (0o606, member, False),
            (0o006, _STRANGER, True),
            (0o660, _STRANGER, False),
            (0o000, Credentials(0, frozenset()), True),
        ):
            self.path.chmod(mode)
            self.assertEqual(is_allowed, may_connect(who, self.path), f"{mode:o} {who}")

    def test_files(self) -> None:
        script = self.directory / "a.php"
        script.touch(0o640)
        self.assertFalse(may_read(_STRANGER, script))
        script.chmod(0o644)
        self.assertTrue(may_read(_STRANGER, script))

    def test_directories(self) -> None:
        self.assertEqual([], [*closed_directories(_STRANGER, self.path)])
        self.directory.chmod(0o700)
        self.assertEqual([self.directory], [*closed_directories(_STRANGER, self.path)])


class SocketFindingTests(SocketTestCase):
    def check(self, who: Credentials = _STRANGER) -> Finding:
        """The finding about the socket, for a gateway with this user."""
        made = attrs.evolve(situation(php_fpm=f"unix:{self.path}"), credentials=who)
        [finding] = check_php_address(made)
        return finding

    def test_socket(self) -> None:
        """The fix lets the gateway's user in."""
        self.path.chmod(0o660)
        finding = self.check()
        self.assertEqual((Level.WRONG, "php-address"), (finding.level, finding.id))
        self.assertIn("Permission denied", finding.what)
        self.assertIn("srw-rw----", finding.seen)
        name, _, mode = finding.fix.partition(" = ")
        self.assertEqual("listen.mode", name)
        self.path.chmod(int(mode, 8))
        self.assertEqual(Level.OK, self.check().level)

    def test_group(self) -> None:
        os.chown(self.path, -1, 33)
        self.path.chmod(0o660)
        self.assertEqual(f"SupplementaryGroups={self.path.group()}", self.check().fix)
        member = Credentials(54321, frozenset((54321, 33)))
        self.assertEqual(Level.OK, self.check(member).level)

    def test_directory(self) -> None:
        self.path.chmod(0o666)
        self.directory.chmod(0o700)
        finding = self.check()
        self.assertEqual((Level.WRONG, f"chmod o+x {self.directory}"), (finding.level, finding.fix))
        self.directory.chmod(0o711)
        self.assertEqual(Level.OK, self.check().level)
