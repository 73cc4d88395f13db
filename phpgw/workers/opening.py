"""Opens the gateway of this process: a whole one, or the parent of several workers."""

from collections.abc import Mapping, Sequence
from typing import Any

from phpgw.backend.fpm.upstream import make_own_fpm
from phpgw.bus.own_engine.manager import make_own_engine
from phpgw.gateway import Gateway
from phpgw.log_limit import LineLimitService
from phpgw.pools.selection import make_pools
from phpgw.process.log_file import ReopenableLogFile
from phpgw.process.monotonic_clock import use_monotonic_time
from phpgw.process.orphan_reaper import OrphanReaper
from phpgw.process.signals import GracefulSignals
from phpgw.service import open_gateway
from phpgw.settings import Settings
from phpgw.settings.option import Given
from phpgw.workers.job import WorkerJob
from phpgw.workers.parent import WorkersParent
from phpgw.workers.rehearsal import rehearse
from phpgw.workers.shares import count_workers
from phpgw.workers.sockets import ListeningSockets

# Nothing connects to it.
_NOWHERE = "/nowhere/engine.sock"


def open_process(
    settings: Settings,
    texts: Mapping[str, Sequence[Given]],
    reactor: Any,
    log_file: ReopenableLogFile | None = None,
    log_descriptor: int = 1,
) -> Gateway | WorkersParent:
    """Return the service of a process of its own, not yet started, with its ports open.

    :param texts: those that the settings were made from.
    :param log_file: where the log goes, if it is a file of twistd's.
    :param log_descriptor: where it goes otherwise: 1 for the standard output, 2 for the standard
        error.
    :raises InvalidOption: if something that the settings name cannot be used, such as a port.
    :raises SystemExit: with a line of explanation, for the same reason.
    """
    count = count_workers(settings)
    if count == 1:
        return open_gateway(settings, reactor, log_file)
    use_monotonic_time(reactor)
    pools = make_pools(settings, reactor)
    pools.open()
    public = ListeningSockets.open("listen", settings.listen, count)
    private = ListeningSockets.open("api-listen", settings.api_listen, count)
    jobs = [
        WorkerJob(
            number=number,
            count=count,
            texts={
                name: [(each.text, each.source) for each in given] for name, given in texts.items()
            },
            endpoints=[*public.for_worker(number), *private.for_worker(number)],
            log_path=None if log_file is None else str(log_file.path),
            log_descriptor=log_descriptor,
        )
        for number in range(count)
    ]
    engine = make_own_engine(reactor) if settings.bus is None else None
    rehearse(jobs[0] if engine is None else jobs[0].with_engine(_NOWHERE))
    runs_fpm = settings.php_url is None and settings.php_fpm is None
    parent = WorkersParent(
        reactor,
        settings,
        jobs=jobs,
        public=public,
        private=private,
        fpm=make_own_fpm(settings, reactor) if runs_fpm else None,
        engine=engine,
        pools=pools,
        log_file=log_file,
    )
    signals = GracefulSignals(reactor, parent.reload, parent.reopen_log, parent.replace_workers)
    for service in (signals, OrphanReaper(reactor), LineLimitService(reactor)):
        service.setServiceParent(parent)
    return parent
