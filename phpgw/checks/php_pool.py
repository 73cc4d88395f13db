"""The pool of PHP-FPM: its size, its queue, and what a reload does to it."""

import re
import socket
import time
from collections.abc import Iterator

import attrs

from phpgw.backend.fpm.installed import InstalledPool, find_pool, pools
from phpgw.checks.addresses import Address, HostPort, UnixPath, client_address
from phpgw.checks.connection_attempt import connect
from phpgw.checks.finding import Finding, Subject
from phpgw.checks.listen_queue import ListenQueueUnknown, listen_queue
from phpgw.checks.php_address import php_address
from phpgw.checks.php_status import PoolStatus, StatusUnknown, listen_address, read_status
from phpgw.checks.processes import Process, is_trusted, listener_of, peer_of, processes_titled
from phpgw.checks.situation import Situation

PHP_POOL = Subject("php-pool")
PHP_QUEUE = Subject("php-queue")
PHP_RELOAD = Subject("php-reload")
# Workers that pages have beside messages.
_FOR_PAGES = 5
_MASTER = re.compile(r"php-fpm: master process \((?P<main_file>.+)\)")
_MORE_LOOKS, _BETWEEN_LOOKS = 3, 0.5
_LOCAL = ("127.0.0.1", "localhost", "::1")


@attrs.frozen
class FoundPool:
    """The pool of the running PHP-FPM.

    :ivar pool: what its configuration says; ``None`` if that cannot be read.
    :ivar obstacle: why it cannot be read.
    :ivar master: the process, if it may be seen.
    """

    pool: InstalledPool | None
    obstacle: str = ""
    master: Process | None = None


def find_running_pool(situation: Situation) -> FoundPool:
    """Return the pool at ``--php-fpm``: by the process that listens, or by the usual files.

    Behind a web server on this machine it is the only pool that runs here, if there is only one.
    """
    endpoint = situation.settings["php-fpm"]
    if not situation.is_here:
        return FoundPool(None, "To run on the gateway's machine.")
    if endpoint is None:
        return _find_only_pool(situation)
    master = _master(client_address(endpoint))
    is_known = master is not None and is_trusted(master)
    match = _MASTER.fullmatch(master.title) if master and is_known else None
    main_files = [] if match is None else [match["main_file"]]
    pool = find_pool(endpoint, main_files) or find_pool(endpoint)
    if pool is not None:
        return FoundPool(pool, master=master)
    named = f"Rights to read {main_files[0]}." if main_files else "Rights to see PHP-FPM's process."
    return FoundPool(None, named, master)


def _find_only_pool(situation: Situation) -> FoundPool:
    address = php_address(situation)
    if not isinstance(address, HostPort) or address.host not in _LOCAL:
        return FoundPool(None, "To run on the machine of PHP-FPM.")
    found = [
        FoundPool(pool, master=master)
        for master in processes_titled(_MASTER)
        for pool in _pools_of(master)
    ]
    if len(found) == 1:
        return found[0]
    return FoundPool(None, f"--php-fpm, as {len(found)} pools run here whose files can be read.")


def _pools_of(master: Process) -> Iterator[InstalledPool]:
    match = _MASTER.fullmatch(master.title)
    return pools([match["main_file"]]) if match is not None else iter(())


def _master(address: Address | None) -> Process | None:
    if isinstance(address, UnixPath):
        attempt = connect(address)
        if isinstance(attempt, socket.socket):
            with attempt:
                return peer_of(attempt)
    elif isinstance(address, HostPort) and address.host in _LOCAL:
        return listener_of(address.port)
    return None


def check_php_pool(situation: Situation, found: FoundPool) -> Iterator[Finding]:
    """Yield whether PHP-FPM has workers for what the gateway sends, and for pages."""
    if situation.runs_php:
        yield PHP_POOL.ok(f"The gateway's own PHP-FPM has {situation.concurrency} workers")
        return
    if found.pool is None:
        yield PHP_POOL.skipped("The pool of PHP-FPM was not looked at", why=found.obstacle)
        yield PHP_QUEUE.skipped("The queue of PHP-FPM was not looked at", why=found.obstacle)
        return
    yield _check_size(situation.concurrency, found.pool)
    yield _check_queue(situation.concurrency, found.pool)
    yield _check_reload(found.pool)


def _check_size(concurrency: int, pool: InstalledPool) -> Finding:
    seen = f"pm.max_children = {pool.workers}, --php-concurrency {concurrency}"
    if pool.workers is None:
        return PHP_POOL.skipped(
            f"Pool {pool.name} has no pm.max_children", why=f"pm.max_children in {pool.pool_file}."
        )
    if pool.workers < concurrency:
        return PHP_POOL.wrong(
            f"PHP-FPM has {pool.workers} workers at most, fewer than the {concurrency} messages "
            "that it gets at once",
            why="Messages wait in PHP-FPM's own queue until they time out, and pages wait "
            "behind them.",
            fix=f"pm.max_children = {concurrency + _FOR_PAGES}",
            where=f"{pool.pool_file} (then reload PHP-FPM); or php-concurrency = {pool.workers}",
            seen=seen,
        )
    if pool.workers == concurrency:
        return PHP_POOL.note(
            f"PHP-FPM has {pool.workers} workers, and messages may use all of them",
            why="While many messages run, pages of the same pool wait.",
            fix=f"pm.max_children = {concurrency + _FOR_PAGES}",
            where=f"{pool.pool_file}, if the pool also serves pages",
            seen=seen,
        )
    return PHP_POOL.ok(
        f"PHP-FPM has {pool.workers} workers for {concurrency} messages at once, and for pages",
        seen=seen,
    )


def _check_queue(concurrency: int, pool: InstalledPool) -> Finding:
    """Look at the kernel's queue, since that of the status page is 0 for UNIX sockets."""
    status = _status(pool)
    address = listen_address(pool.directives.get("listen", ""))
    try:
        waiting = _lasting_queue(address)
    except ListenQueueUnknown as error:
        if not isinstance(status, PoolStatus) or isinstance(address, UnixPath):
            return PHP_QUEUE.skipped("The queue of PHP-FPM was not looked at", why=str(error))
        waiting = status.queue
    seen = f"{waiting} in the listen queue"
    if isinstance(status, PoolStatus):
        seen += f"; {status.active} of {status.total} workers are busy"
        if status.limit_reached:
            seen += f"; pm.max_children was reached {status.limit_reached} times"
    elif status is not None and status.is_late:
        seen += f"; the status page {status}"
    is_late = isinstance(status, StatusUnknown) and status.is_late
    if waiting or is_late:
        workers = max(pool.workers or 0, concurrency)
        return PHP_QUEUE.wrong(
            "PHP-FPM does not keep up: requests wait for a worker",
            why="Each message and each page waits as long as that queue.",
            fix=f"pm.max_children = {2 * workers}",
            where=f"{pool.pool_file} (then reload PHP-FPM), or make the scripts faster",
            seen=seen,
        )
    return PHP_QUEUE.ok("No request waits for a worker of PHP-FPM", seen=seen)


def _lasting_queue(address: Address | None) -> int:
    """Return how many connections wait to be accepted, and not for a moment only.

    PHP-FPM starts more workers once in a second.

    :raises ListenQueueUnknown: if the kernel does not tell.
    """
    waiting = listen_queue(address)
    for _ in range(_MORE_LOOKS):
        if not waiting:
            break
        time.sleep(_BETWEEN_LOOKS)
        waiting = min(waiting, listen_queue(address))
    return waiting


def _status(pool: InstalledPool) -> PoolStatus | StatusUnknown | None:
    """Return what the status page says; ``None`` if the pool has none."""
    path = pool.directives.get("pm.status_path")
    if not path:
        return None
    listen = pool.directives.get("pm.status_listen") or pool.directives.get("listen", "")
    try:
        return read_status(listen, path)
    except StatusUnknown as error:
        return error


def _check_reload(pool: InstalledPool) -> Finding:
    if pool.reload_seconds in ("0", "0s"):
        return PHP_RELOAD.note(
            "A reload of PHP-FPM kills the scripts that run",
            why="Their messages are lost.",
            fix="process_control_timeout = 10s",
            where=f"[global] in {pool.main_file}",
            seen=f"process_control_timeout = {pool.reload_seconds}",
        )
    return PHP_RELOAD.ok(f"A reload of PHP-FPM lets scripts finish for {pool.reload_seconds}")
