"""Pools of connections to a real Redis, with PHP's own clients."""

import json
from pathlib import Path
from typing import Any

from phpgw.pools.front import open_socket
from phpgw.pools.redis.service import RedisPool
from phpgw.settings.pool_text import parse_pool
from tests.support.real.command import run
from tests.support.real.php import php_with
from tests.support.real.redis import Redis
from tests.support.real.system_test_case import SystemTestCase

_SESSIONS = Path(__file__).parents[1] / "support/real/redis_sessions.php"


class RedisPoolTests(SystemTestCase):
    def start_redis(self, **config: str) -> Redis:
        return self._started(Redis(self._directory_for("redis"), config=config))

    def start_pool(self, redis: Redis, **fields: object) -> RedisPool:
        """A pool with one connection, unless something else is said."""
        from twisted.internet import reactor

        self.socket = self.directory / "pool.sock"
        text = "&".join(f"{key.replace('_', '-')}={value}" for key, value in fields.items())
        config = parse_pool(
            f"shop=redis+unix://{redis.socket}?size=1&wait=3s&socket={self.socket}&{text}"
        )
        pool = RedisPool(reactor, config)
        pool.start(open_socket(config))
        self.addCleanup(pool.stop_within, 0.1)
        return pool

    async def sessions(self) -> list[dict[str, Any]]:
        ended = await run(
            [php_with("redis", "php-redis"), str(_SESSIONS), str(self.socket)], timeout=60
        )
        self.assertEqual((0, ""), (ended.status, ended.stderr))
        return [json.loads(line) for line in ended.stdout.splitlines()]

    async def test_states(self) -> None:
        """Whatever PHP leaves behind, and however it ends, the next user sees nothing of it."""
        redis = self.start_redis()
        redis.ask(
            "ACL", "SETUSER", "other", "on", ">theirs", "allcommands", "allkeys", "allchannels"
        )
        pool = self.start_pool(redis)
        cases = await self.sessions()
        self.assertEqual([], [case for case in cases if case["difference"]])
        same = {(case["state"], case["end"]) for case in cases if case["is_same"]}
        states = {case["state"] for case in cases}
        # It is proven for connections that were cleaned, and not only for those that were closed.
        for state in states - {"debug", "monitor", "blocked once"}:
            self.assertIn((state, "end"), same)
            self.assertIn((state, "SIGKILL"), same)
        for case in cases:
            if case["end"] == "half a request" or case["state"] in ("debug", "monitor"):
                self.assertFalse(case["is_same"], case)
        figures = pool.figures
        held = figures.in_use + figures.idle + figures.opening
        self.assertEqual(figures.opened, figures.closed.total() + held)
