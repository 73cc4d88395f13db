"""Tests for :mod:`phpgw.backend.fpm.config`."""

import os
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from phpgw.backend.fpm.config import (
    InvalidPool,
    find_php_fpm,
)
from tests.support.fpm_config_test_case import FpmConfigTestCase

_SOCKET = Path("/nowhere/1.sock")


class FindTests(SynchronousTestCase):
    def programs(self, *names: str) -> str:
        directory = Path(self.mktemp())
        directory.mkdir()
        for name in names:
            (directory / name).touch(0o755)
        return str(directory)

    def found(self, *names: str) -> str:
        found = find_php_fpm(self.programs(*names))
        assert found is not None
        return found.name

    def test_newest(self) -> None:
        self.assertEqual(self.found("php-fpm97.9", "php-fpm97.10", "php-fpm8.2"), "php-fpm97.10")

    def test_plain_name_first(self) -> None:
        self.assertEqual(self.found("php-fpm97.9", "php-fpm"), "php-fpm")

    def test_other_files_are_not_it(self) -> None:
        self.assertEqual(
            self.found("php-fpm97.9.conf", "php-fpm-helper", "php-fpm96.1"), "php-fpm96.1"
        )

    def test_places_that_cannot_be_looked_into(self) -> None:
        """A PATH may name directories of somebody else, or none at all."""
        file = Path(self.mktemp())
        file.touch()
        programs = self.programs("php-fpm97.1")
        found = find_php_fpm(os.pathsep.join([str(file), "/no/such/place", programs]))
        assert found is not None
        self.assertEqual(found.name, "php-fpm97.1")


class TextTests(FpmConfigTestCase):
    def test_workers_may_finish(self) -> None:
        """One that is replaced waits for its scripts as long as they may run."""
        text = self.config().text(_SOCKET)
        self.assertIn("\nprocess_control_timeout = 11s\n[phpgw]\n", text)
        self.assertIn("\nrequest_terminate_timeout = 11s\n", text)

    def test_values_of_variables_are_not_in_it(self) -> None:
        """Nor on a command line: they may be passwords."""
        config = self.config(env=(("PASSWORD", "secret"), ("B", "x\n[global]")))
        text = config.text(_SOCKET)
        self.assertTrue(
            text.endswith("env[PASSWORD] = $PHPGW_ENV_PASSWORD\nenv[B] = $PHPGW_ENV_B\n")
        )
        self.assertNotIn("secret", text + " ".join(config.command(_SOCKET)))
        self.assertEqual("secret", config.environment()["PHPGW_ENV_PASSWORD"])

    def test_pool_settings_that_are_ours(self) -> None:
        for line, fix in (
            *(("listen = 9000", "own"), (" listen.mode=0666", "own"), ("listen.owner = x", "own")),
            *(("include=/etc/*.conf", "own"), ("prefix = /x", "own"), ("chroot = /", "own")),
            *(("user = root", "--php-user"), ("\tgroup=root", "--php-user")),
            *(
                ("pm.max_children= 9", "--php-workers"),
                ("[global]", "section"),
                (" [www]", "section"),
            ),
            ("request_terminate_timeout = 1h", "--php-max-run"),
        ):
            config = self.config(f"; first\n{line}\n")
            problem = str(self.assertRaises(InvalidPool, config.text, _SOCKET))
            self.assertIn("line 2 ", problem)
            self.assertIn(fix, problem)

    def test_pool_settings_that_are_taken(self) -> None:
        pool = (
            "pm = ondemand\npm.max_requests = 500\n;listen = 9000\n"
            "env[listen] = 1\nphp_admin_value[user_ini.filename] = \n"
        )
        self.assertIn(pool, self.config(pool).text(_SOCKET))

    def test_pool_settings_that_cannot_be_read(self) -> None:
        for pool_file in (Path("/nowhere/pool.conf"), Path("/etc")):
            self.assertRaises(InvalidPool, self.config(pool_file=pool_file).text, _SOCKET)
        binary = Path(self.mktemp())
        binary.write_bytes(b"\xff\xfe")
        self.assertRaises(InvalidPool, self.config(pool_file=binary).text, _SOCKET)
