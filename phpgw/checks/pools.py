"""The connection pools: whether they reach their servers, and are large enough."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from phpgw.checks.finding import Finding, Subject

POOLS = Subject("pools")


def check_pools(pools: Iterable[Mapping[str, Any]]) -> Iterator[Finding]:
    """Yield a finding about each pool.

    :param pools: as ``GET /pools`` has them.
    """
    for pool in pools:
        yield _check(pool)


def _check(pool: Mapping[str, Any]) -> Finding:
    name, server, size = pool["name"], pool["server"], pool["size"]
    if pool["problem"]:
        return POOLS.wrong(
            f"The pool {name} does not reach {server}",
            why="PHP gets an error in place of a connection.",
            fix="journalctl -u phpgw --grep Pool",
            where="a shell; then the server itself, or the pool's address, user, password-file and "
            "ca-file in the gateway's configuration",
            seen=pool["problem"],
        )
    refused = pool["refused"].get("full", 0)
    if refused:
        return POOLS.warn(
            f"The pool {name} has been full: PHP got no connection {refused} times",
            why=f"All {size} connections were in use for longer than PHP may wait.",
            fix=f"size = {2 * size}",
            where=f"[pools.{name}] in the gateway's configuration, or size= in its --pool, if the "
            "server takes so many; or have PHP close its connections early",
        )
    return POOLS.ok(
        f"The pool {name} serves {server} at {pool['where']} ({pool['in_use']} of {size} in use)"
    )
