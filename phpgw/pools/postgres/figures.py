"""The figures of a pool, from the tables of PgBouncer's console."""

from phpgw.pools.figures import PoolFigures
from phpgw.pools.postgres.console import Table

# In SHOW POOLS: connections to PostgreSQL that nobody has.
_IDLE = ("sv_idle", "sv_used", "sv_tested")
_FULL = "query_wait_timeout"


class PgBouncerFigures:
    """Keeps the figures of a pool.

    PgBouncer is asked from time to time: connections that open and close in between are not
    counted. It does not say how often and why it has closed or cleaned one.
    """

    def __init__(self) -> None:
        self.now = PoolFigures()
        self._known: set[tuple[str, str]] = set()

    def take(self, pools: Table, servers: Table) -> None:
        """Take the tables of SHOW POOLS and SHOW SERVERS."""
        now = self.now
        now.in_use = _sum(pools, "sv_active")
        now.idle = sum(_sum(pools, column) for column in _IDLE)
        now.opening = _sum(pools, "sv_login")
        now.waiting = _sum(pools, "cl_waiting")
        known = {
            (row.get("ptr", ""), row.get("connect_time", ""))
            for row in servers
            if row.get("state") != "login"
        }
        if new := known - self._known:
            now.opened += len(new)
            now.problem = ""
        self._known = known

    def forget(self, reason: str) -> None:
        """Note that there is no PgBouncer, and so no connection.

        :param reason: why there is none.
        """
        self.take([], [])
        self.now.problem = reason

    def count_refusal(self, reason: str) -> None:
        """Count that PHP got no connection.

        :param reason: as PgBouncer logs it.
        """
        if _FULL in reason:
            self.now.refused["full"] += 1
        else:
            self.now.refused["unavailable"] += 1
            self.now.problem = reason


def _sum(table: Table, column: str) -> int:
    return sum(int(text) for row in table if (text := row.get(column, "")).isdecimal())
