"""Tests for :mod:`phpgw.pools.kinds`."""

from pathlib import Path

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from phpgw.pools import kinds
from phpgw.pools.https.service import ApiPool
from phpgw.pools.kinds import make_pool
from phpgw.pools.mysql.service import MySqlPool
from phpgw.pools.postgres import service as postgres
from phpgw.pools.redis.service import RedisPool
from phpgw.pools.service import PoolService
from phpgw.pools.tcp.service import TcpPool
from phpgw.settings.option import InvalidOption
from phpgw.settings.pool_text import parse_pool


class KindTests(SynchronousTestCase):
    def test_each(self) -> None:
        """The URL of a server decides which pool it gets, and nothing is open before its start."""
        self.patch(postgres, "find_pgbouncer", lambda pool: Path("/usr/sbin/pgbouncer"))
        expected: dict[str, type[PoolService]] = {
            "mysql://app@h": MySqlPool,
            "mysql+unix://app@/run/m.sock": MySqlPool,
            "postgres://app@h": postgres.PostgresPool,
            "redis://h": RedisPool,
            "rediss://h": RedisPool,
            "http://h": ApiPool,
            "https://h/v1": ApiPool,
            "tcp://h:25": TcpPool,
            "tls://h:636": TcpPool,
        }
        for url, kind in expected.items():
            clock = Clock()
            pool = make_pool(clock, parse_pool(f"db={url}?wait=1"))
            self.assertIs(kind, type(pool), url)
            self.assertEqual(0, pool.figures.opened, url)
            self.assertEqual([], clock.getDelayedCalls(), url)

    def test_unknown(self) -> None:
        """A server for which there is no code is refused."""
        self.patch(kinds, "_MAKERS", {})
        config = parse_pool("db=mysql://app@h")
        error = self.assertRaises(InvalidOption, make_pool, Clock(), config)
        self.assertIn("db=mysql://h:3306", str(error))
