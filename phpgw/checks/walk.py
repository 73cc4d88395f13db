"""The walk over all probes, on after an error."""

from collections.abc import Callable, Iterable, Iterator
from functools import partial

from phpgw.checks.bus import check_bus
from phpgw.checks.finding import Finding, Level, Subject
from phpgw.checks.nginx_proxy import check_nginx
from phpgw.checks.open_files import check_open_files
from phpgw.checks.php_address import check_php_address
from phpgw.checks.php_ini import read_ini
from phpgw.checks.php_pool import check_php_pool, find_running_pool
from phpgw.checks.php_script import check_script, ini_in_reply
from phpgw.checks.php_settings import check_php_settings
from phpgw.checks.ports import check_ports
from phpgw.checks.situation import Situation
from phpgw.checks.socket_files import check_sockets
from phpgw.checks.timeouts import check_php_timeouts, check_ping_interval

PROBE = Subject("probe")


def check_gateway(situation: Situation) -> Iterator[Finding]:
    """Yield the findings about a gateway and its PHP, on this machine."""
    checks: list[Callable[[Situation], Iterable[Finding]]] = []
    if situation.report is None:
        checks.append(check_ports)
    elif situation.is_here:
        checks.append(check_sockets)
    checks += [check_open_files, check_bus]
    checks += [check_ping_interval, check_nginx, _check_way_to_php, _check_php]
    for check in checks:
        yield from guarded(check.__name__, partial(check, situation))


def guarded(name: str, findings: Callable[[], Iterable[Finding]]) -> Iterator[Finding]:
    """Yield findings; if a probe fails, a finding that says so."""
    try:
        yield from findings()
    except Exception as error:
        # On a machine that nobody has thought of. The other probes go on.
        yield PROBE.skipped(
            f"A probe failed: {name.strip('_').replace('_', ' ')}",
            why=f"Please report it: {type(error).__name__}: {error}",
        )


def _check_way_to_php(situation: Situation) -> Iterator[Finding]:
    """Yield the findings about PHP's address, and about the script behind it."""
    is_reachable = True
    for finding in check_php_address(situation):
        yield finding
        is_reachable = is_reachable and finding.level is not Level.WRONG
    yield from check_script(situation, is_reachable=is_reachable)


def _check_php(situation: Situation) -> Iterator[Finding]:
    """Yield the findings about the pool, and PHP's settings in it."""
    found = find_running_pool(situation)
    yield from check_php_pool(situation, found)
    ini = ini_in_reply(situation) or read_ini(found)
    yield from check_php_timeouts(situation, found.pool, ini)
    yield from check_php_settings(situation, ini)
