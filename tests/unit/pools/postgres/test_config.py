"""Tests for :mod:`phpgw.pools.postgres.config`."""

import os
import pwd
from configparser import RawConfigParser
from pathlib import Path

import attrs
from twisted.trial.unittest import SynchronousTestCase

from phpgw.pools.postgres import config as module
from phpgw.pools.postgres.config import PgBouncerConfig, PgBouncerFiles
from phpgw.settings.option import InvalidOption
from phpgw.settings.pool_text import parse_pool
from tests.support.short_directory import short_directory

PLACE = Path("/run/phpgw-x")
_FIND_ACCOUNT = module.find_account


def files(text: str, password: str = "secret") -> PgBouncerFiles:
    pool = parse_pool(f"db={text}")
    pool = attrs.evolve(pool, wait=3.0 if pool.wait is None else pool.wait)
    return PgBouncerConfig.of(pool).files(PLACE, password, "known to nobody")


def settings(text: str) -> dict[str, str]:
    parser = RawConfigParser(strict=True)
    parser.read_string(files(text).ini)
    return dict(parser["pgbouncer"])


def databases(text: str) -> dict[str, str]:
    parser = RawConfigParser(strict=True)
    parser.optionxform = str  # type: ignore[assignment]
    parser.read_string(files(text).ini)
    return dict(parser["databases"])


class ConfigTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.patch(module, "find_account", lambda: None)

    def test_limits(self) -> None:
        """The limits of the pool are those of PgBouncer, over all databases."""
        found = settings("postgres://app@h?size=5&idle=90s&age=1h&wait=250ms")
        for name, expected in (
            ("pool_mode", "session"),
            ("server_reset_query", "DISCARD ALL"),
            ("default_pool_size", "5"),
            ("max_user_connections", "5"),
            ("server_idle_timeout", "90"),
            ("server_lifetime", "3600"),
            ("query_wait_timeout", "0.25"),
            ("auth_type", "hba"),
            ("listen_addr", ""),
        ):
            self.assertEqual(expected, found[name], name)

    def test_servers(self) -> None:
        """The server is a host, or the directory of a socket, and PHP may name the database."""
        for text, expected in (
            ("postgres://app@h:99", "host='h' port='99' user='app'"),
            ("postgres://app@[::1]", "host='::1' port='5432' user='app'"),
            ("postgres+unix:///run/pg?user=app", "host='/run/pg' port='5432' user='app'"),
            (
                "postgres+unix:///run/pg/.s.PGSQL.77?user=app",
                "host='/run/pg' port='77' user='app'",
            ),
            ("postgres+unix:///it%27s?user=o%27k", "host='/it''s' port='5432' user='o''k'"),
        ):
            self.assertEqual({"*": expected}, databases(text), text)

    def test_one_database(self) -> None:
        """A database in the URL is the only one; with an unusual name, all names lead to it."""
        self.assertEqual(
            {"shop": "host='h' port='5432' user='app' dbname='shop'"},
            databases("postgres://app@h/shop"),
        )
        self.assertEqual(
            {"*": "host='h' port='5432' user='app' dbname='the shop'"},
            databases("postgres://app@h/the%20shop"),
        )

    def test_tls(self) -> None:
        """The certificate is verified if TLS is asked for, also with the system's authorities."""
        file = self.mktemp()
        Path(file).touch()
        for text, mode in (
            (f"postgres://app@h?tls=on&ca-file={file}", "verify-full"),
            ("postgres://app@h", "prefer"),
            ("postgres+unix:///run/pg?user=app", "disable"),
        ):
            self.assertEqual(mode, settings(text)["server_tls_sslmode"], text)
        self.patch(module, "_AUTHORITIES", (file,))
        found = settings("postgres://app@h?tls=on")
        self.assertTrue(Path(found["server_tls_ca_file"]).is_file())

    def test_rules(self) -> None:
        """PHP needs no password. Nobody gets into the console without its own."""
        self.assertEqual(
            [
                "local pgbouncer phpgw_console password",
                "local pgbouncer all reject",
                "local all phpgw_console reject",
                "local all all trust",
            ],
            files("postgres://app@h").rules.splitlines(),
        )
        rules = files("postgres://app@h?listen=127.0.0.1:5432").rules.splitlines()
        self.assertEqual("local pgbouncer all reject", rules[1])
        hosts = [rule for rule in rules if rule.startswith("host")]
        self.assertEqual("host pgbouncer all 127.0.0.1/32 reject", hosts[0])
        self.assertEqual(
            {"127.0.0.1/32", "::1/128"}, {word for rule in hosts for word in rule.split()[3:4]}
        )

    def test_passwords(self) -> None:
        """There are two users; what is in a password changes nothing of that."""
        for password, written in (
            ("secret", '"secret"'),
            ('"" ""', '""""" """""'),
            ("a\\b'c", '"a\\b\'c"'),
            ("", '""'),
        ):
            self.assertEqual(
                [f'"app" {written}', '"phpgw_console" "known to nobody"'],
                files("postgres://app@h", password).passwords.splitlines(),
            )

    def test_refused(self) -> None:
        """What cannot be written to a file is an error of the option, without the password."""
        for text, hint in (
            ("postgres://h", "a user"),
            ("postgres://phpgw_console@h", "a name that PgBouncer"),
            ("postgres://app@h/pgbouncer", "a name that PgBouncer"),
            ("postgres://a%0Ab@h", "control characters"),
            ("postgres://app@h/a%0Db", "control characters"),
            ("postgres+unix:///run/a%0Ab?user=app", "control characters"),
        ):
            with self.assertRaises(InvalidOption) as caught:
                files(text)
            self.assertIn(hint, str(caught.exception), text)
        with self.assertRaises(InvalidOption) as caught:
            files("postgres://app@h", "se\ncret")
        self.assertNotIn("cret", str(caught.exception))
        self.assertNotIn("secret", repr(files("postgres://app@h")))

    def test_account(self) -> None:
        """As root, PgBouncer becomes another user, who cannot be that of PHP."""
        real = pwd.getpwnam("nobody")
        self.patch(module, "find_account", lambda: real)
        self.assertEqual("nobody", settings("postgres://app@h")["user"])
        self.patch(module, "find_account", _FIND_ACCOUNT)
        self.patch(os, "geteuid", lambda: 0)
        self.patch(module, "_USERS", ("nobody-of-this-name",))
        with self.assertRaises(InvalidOption) as caught:
            files("postgres://app@h")
        self.assertIn("nobody-of-this-name", str(caught.exception))

    def test_files(self) -> None:
        """They are for one account alone, from the beginning, and are replaced as a whole."""
        directory = short_directory(self)
        os.umask(umask := os.umask(0))
        self.addCleanup(os.umask, umask)
        for password in ("first", "second"):
            path = files("postgres://app@h", password).write(directory)
            self.assertEqual("pgbouncer.ini", path.name)
            self.assertEqual(
                {"pgbouncer.ini", "pgbouncer.rules", "pgbouncer.users"},
                {each.name for each in directory.iterdir()},
            )
            for each in directory.iterdir():
                self.assertEqual(0o600, each.stat().st_mode & 0o777)
        self.assertIn("second", (directory / "pgbouncer.users").read_text())
