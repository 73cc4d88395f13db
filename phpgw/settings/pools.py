"""Options of the connection pools."""

from pathlib import Path

import attrs

from phpgw.settings import parsers
from phpgw.settings.option import InvalidOption, option
from phpgw.settings.pool_config import PoolConfig
from phpgw.settings.pool_text import OPTION, parse_pool

_POOLS = "Connection pools"


@attrs.frozen(kw_only=True, slots=False)
class PoolSettings:
    """The connections to other servers that the gateway holds for PHP."""

    pool: tuple[PoolConfig, ...] = option(
        _POOLS,
        "NAME=URL",
        parse_pool,
        None,
        "Hold connections to a server for PHP, which connects to the UNIX socket NAME.sock in "
        "--pool-directory in its place (to the directory NAME there for PostgreSQL): "
        "mysql://USER@HOST, postgres://USER@HOST/DATABASE, redis://HOST, rediss://HOST, "
        "https://HOST, tcp://HOST:PORT or tls://HOST:PORT. Behind a "
        "question mark stand fields, with & in between: size=8 (connections), idle=5m and age=30m "
        "(how long they are kept), wait=3s, password-file=FILE, tls=on, ca-file=FILE, socket=PATH "
        "with mode=0660 and group=NAME, or listen=127.0.0.1:PORT. In the file of --config, a table "
        "[pools.NAME] has url and the same fields. May be repeated.",
        repeatable=True,
    )
    pool_wait: float = option(
        _POOLS,
        "TIME",
        parsers.positive_duration,
        "3s",
        "How long PHP waits for a connection of a pool while all are in use. Then it gets the "
        "error of the server's own protocol for too many connections.",
    )
    pool_directory: Path = option(
        _POOLS,
        "DIRECTORY",
        parsers.directory,
        "/run/phpgw/pools",
        "The directory of the pools' UNIX sockets. It is made if it is not there. Others must not "
        "be allowed to write into it.",
    )

    def pools(self) -> tuple[PoolConfig, ...]:
        """Return the pools, with what is not said of each."""
        return tuple(
            attrs.evolve(
                each,
                wait=self.pool_wait if each.wait is None else each.wait,
                socket=None if each.listen else each.socket_below(self.pool_directory),
            )
            for each in self.pool
        )

    def _check_pools(self) -> None:
        """Check that no two pools have the same name or place.

        :raises InvalidOption: if two have.
        """
        for value, what in (
            (lambda pool: pool.name, "each name once"),
            (lambda pool: pool.where, "a socket or port of its own for each pool"),
        ):
            seen: set[str] = set()
            for pool in self.pools():
                if value(pool) in seen:
                    raise InvalidOption(OPTION, what, repr(value(pool)))
                seen.add(value(pool))
