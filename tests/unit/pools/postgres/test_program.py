"""Tests for :mod:`phpgw.pools.postgres.program`."""

import os
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from phpgw.pools.postgres import program as module
from phpgw.pools.postgres.program import find_pgbouncer
from phpgw.settings.option import InvalidOption
from phpgw.settings.pool_text import parse_pool
from tests.support.short_directory import short_directory

POOL = parse_pool("db=postgres://app@h")


class FindTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.directory = short_directory(self)
        self.patch(module, "_OTHER_DIRECTORIES", ())
        self.patch(os, "environ", {**os.environ, "PATH": f"{self.directory}:/nowhere"})

    def install(self, version: str) -> Path:
        path = self.directory / "pgbouncer"
        path.write_text(f"#!/bin/sh\necho '{version}'\n")
        path.chmod(0o755)
        return path

    def reason(self) -> str:
        with self.assertRaises(InvalidOption) as caught:
            find_pgbouncer(POOL)
        return str(caught.exception)

    def test_found(self) -> None:
        path = self.install("PgBouncer 1.18.0\nsystemd: yes")
        self.assertEqual(path, find_pgbouncer(POOL))

    def test_missing(self) -> None:
        """The error names the option, the pool, and the package."""
        reason = self.reason()
        self.assertNotIn("\n", reason)
        for words in ("--pool", "db=postgres://h", "apt-get install pgbouncer"):
            self.assertIn(words, reason)

    def test_without_sockets(self) -> None:
        """One that takes no sockets would open its own, without the pool's permissions."""
        self.install("PgBouncer 1.18.0\nsystemd: no")
        self.assertIn("systemd", self.reason())
        self.install("PgBouncer 1.12.0")
        self.assertIn("1.14", self.reason())
