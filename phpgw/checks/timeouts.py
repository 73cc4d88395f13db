"""Timeouts: they have to be in order, so that the one nearest to the cause fires first."""

import re
from collections.abc import Iterator, Mapping

from phpgw.backend.fpm.installed import InstalledPool
from phpgw.checks.finding import Finding, Subject
from phpgw.checks.situation import Situation

PING_INTERVAL = Subject("ping-interval")
PHP_TIMEOUT = Subject("php-timeout")
# The shortest timeout of usual proxies: proxy_read_timeout of Nginx, by default.
_PROXY_TIMEOUT = 60
_GATEWAY = "the gateway's configuration"
_FPM_DURATION = re.compile(r"([0-9]+)([smhd]?)")
_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}


def check_ping_interval(situation: Situation) -> Iterator[Finding]:
    """Yield whether pings come before a proxy's timeout."""
    interval = situation.settings["ping-interval"]
    if not interval:
        yield PING_INTERVAL.warn(
            "Pings are off",
            why="Proxies close connections on which nothing is sent, and clients that have "
            "vanished stay.",
            fix='ping-interval = "25s"',
            where=_GATEWAY,
        )
    elif interval >= _PROXY_TIMEOUT:
        yield PING_INTERVAL.warn(
            f"Clients get a ping every {interval:g} s, later than most proxies wait",
            why=f"Nginx closes a connection after {_PROXY_TIMEOUT} s without data, unless "
            "proxy_read_timeout is longer.",
            fix='ping-interval = "25s"',
            where=f"{_GATEWAY}, or a longer proxy_read_timeout",
        )
    else:
        yield PING_INTERVAL.ok(f"Clients get a ping every {interval:g} s")


def check_php_timeouts(
    situation: Situation, pool: InstalledPool | None, ini: Mapping[str, str] | None
) -> Iterator[Finding]:
    """Yield whether PHP's own limits on a script's time fit ``--php-timeout``.

    :param pool: the pool of PHP-FPM, if its configuration can be read.
    :param ini: PHP's settings, if they are known.
    """
    timeout = situation.settings["php-timeout"]
    terminate = _seconds("" if pool is None else pool.directives.get(_TERMINATE, ""))
    if pool is not None and 0 < terminate < timeout:
        yield PHP_TIMEOUT.warn(
            f"PHP-FPM kills a script after {terminate} s, and the gateway would wait {timeout:g} s",
            why="The client gets an error in place of a reply, and the log has no PHP error.",
            fix=f'php-timeout = "{terminate}s"',
            where=f"{_GATEWAY}, or a longer {_TERMINATE} in {pool.pool_file}",
            seen=f"{_TERMINATE} = {terminate}",
        )
        return
    longest = _seconds("" if ini is None else ini.get(_EXECUTION, ""))
    if ini is None:
        yield PHP_TIMEOUT.skipped(
            f"--php-timeout is {timeout:g} s; PHP's own limits are not known", why=_NEEDS_INI
        )
    elif longest == 0 or longest > timeout:
        shown = f"{longest} s" if longest else "no limit"
        yield PHP_TIMEOUT.note(
            f"A script may go on ({shown}) after the gateway has given it up ({timeout:g} s)",
            why="It keeps its worker, and the client's next message waits for it.",
            fix=f"php_admin_value[{_EXECUTION}] = {max(1, int(timeout))}",
            where="the pool of PHP-FPM; the time that a script waits for others does not count",
            seen=f"{_EXECUTION} = {longest}",
        )
    else:
        yield PHP_TIMEOUT.ok(
            f"PHP ends a script after {longest} s, before the gateway gives it up ({timeout:g} s)"
        )


_TERMINATE, _EXECUTION = "request_terminate_timeout", "max_execution_time"
_NEEDS_INI = "A script that replies to the check event: see docs/contract.rst."


def _seconds(text: str) -> int:
    """Return the seconds in a duration of PHP or PHP-FPM; 0 if there is none."""
    match = _FPM_DURATION.fullmatch(text.strip())
    return 0 if match is None else int(match[1]) * _UNITS[match[2]]
