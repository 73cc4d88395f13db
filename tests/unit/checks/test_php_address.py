"""Tests for :mod:`phpgw.checks.php_address`; its permissions are in test_permissions."""

import shlex
import socket
import tomllib

import attrs
from twisted.trial.unittest import SynchronousTestCase

from phpgw.checks import php_address
from phpgw.checks.connection_attempt import Refused
from phpgw.checks.finding import Finding, Level
from phpgw.checks.php_address import check_php_address
from phpgw.checks.situation import Credentials
from tests.support.checked_situation import situation
from tests.support.real.process import free_port
from tests.support.short_directory import short_directory


def check(**settings: str) -> Finding:
    """Return the finding with these settings."""
    [finding] = check_php_address(situation(**settings))
    return finding


class PhpAddressTests(SynchronousTestCase):
    def test_missing_socket(self) -> None:
        """It proposes a socket that is there."""
        self.patch(php_address, "_usual_address", lambda directory: "/run/php/php8.2-fpm.sock")
        finding = check(php_fpm="unix:/run/php/php7.4-fpm.sock")
        self.assertEqual(("php-address", Level.WRONG), (finding.id, finding.level))
        self.assertEqual('php-fpm = "/run/php/php8.2-fpm.sock"', finding.fix)

    def test_no_socket_at_all(self) -> None:
        self.patch(php_address, "_usual_address", lambda directory: None)
        finding = check(php_fpm="unix:/run/php/php7.4-fpm.sock")
        self.assertEqual((Level.WRONG, "systemctl start php-fpm"), (finding.level, finding.fix))

    def test_usual_address(self) -> None:
        directory = short_directory(self)
        self.patch(php_address, "listen_addresses", lambda: [f"{directory}/b", f"{directory}/a"])
        self.patch(php_address, "_USUAL_SOCKETS", (f"{str(directory)[1:]}/*.sock",))
        self.assertIsNone(php_address._usual_address())
        (directory / "c.sock").touch()
        self.assertEqual(f"{directory}/c.sock", php_address._usual_address())
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(f"{directory}/a")
            self.assertEqual(f"{directory}/a", php_address._usual_address())

    def test_beside(self) -> None:
        """A socket beside the one that is missing is proposed if it may be PHP's."""
        directory = short_directory(self)
        self.patch(php_address, "listen_addresses", list)
        self.patch(php_address, "_USUAL_SOCKETS", ())
        for name in ("docker.sock", "phpgw.sock", "snapd.sock"):
            (directory / name).touch()
        self.assertIsNone(php_address._usual_address(directory))
        hostile = directory / 'php".sock'
        hostile.touch()
        self.assertEqual(str(hostile), php_address._usual_address(directory))
        finding = check(php_fpm=f"unix:{directory}/x.sock")
        self.assertEqual({"php-fpm": str(hostile)}, tomllib.loads(finding.fix))
        directory.chmod(0o777)
        self.assertIsNone(php_address._usual_address(directory))

    def test_closed_directory(self) -> None:
        """The line can be copied, whatever is in the path."""
        directory = short_directory(self) / "a $(b) 'c'"
        directory.mkdir(mode=0o700)
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(f"{directory}/d")
            made = attrs.evolve(
                situation(php_fpm=f"unix:{directory}/d"),
                credentials=Credentials(2**31, frozenset()),
            )
            [finding] = check_php_address(made)
        self.assertEqual(["chmod", "o+x", str(directory)], shlex.split(finding.fix))

    def test_stale_socket(self) -> None:
        path = short_directory(self) / "a.sock"
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(path))
            finding = check(php_fpm=f"unix:{path}")
        self.assertEqual((Level.WRONG, "systemctl restart php-fpm"), (finding.level, finding.fix))

    def test_reached(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
            self.assertEqual(Level.OK, check(php_fpm=f"tcp:127.0.0.1:{port}").level)
            self.assertEqual(Level.OK, check(php_url=f"http://127.0.0.1:{port}/a.php").level)

    def test_refused(self) -> None:
        finding = check(php_url=f"http://127.0.0.1:{free_port()}/a.php")
        self.assertEqual(Level.WRONG, finding.level)
        self.assertIn("the web server", finding.where.lower())

    def test_in_a_container(self) -> None:
        """There, localhost is nobody else's. A socket that is there is better than a guess."""
        self.patch(php_address, "_usual_address", lambda: None)
        port = free_port()
        finding = check(php_fpm=f"tcp:localhost:{port}")
        self.assertIn("container", finding.why)
        self.assertEqual(f'php-fpm = "php:{port}"', finding.fix)
        self.patch(php_address, "_usual_address", lambda: "/run/php/php.sock")
        finding = check(php_fpm=f"tcp:localhost:{port}")
        self.assertEqual('php-fpm = "/run/php/php.sock"', finding.fix)
        self.assertIn("http://web:", check(php_url=f"http://localhost:{port}/a.php").fix)

    def test_other_failures(self) -> None:
        for kind, line in (
            ("timeout", "ufw allow"),
            ("unreachable", "ufw allow"),
            ("full", "pm.max_children"),
            ("unknown name", "php-fpm = "),
            ("refused", "listen = 9000"),
        ):
            self.patch(php_address, "connect", lambda address, kind=kind: Refused(kind, "x"))
            finding = check(php_fpm="tcp:php:9000")
            self.assertEqual(Level.WRONG, finding.level)
            self.assertIn(line, finding.fix)

    def test_not_looked_at(self) -> None:
        self.assertEqual(Level.OK, check().level)
        self.assertEqual(Level.SKIPPED, check(php_fpm="tls:a:9000").level)
        elsewhere = attrs.evolve(situation(php_fpm="tcp:a:9000"), is_here=False)
        self.assertEqual([Level.SKIPPED], [each.level for each in check_php_address(elsewhere)])
