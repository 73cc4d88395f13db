"""The program of a worker: ``python -m phpgw.workers.main NUMBER``; a parent starts it."""

import os
import signal
import sys
from functools import partial
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred

from phpgw.logs.observer import WorkerTag, make_observer
from phpgw.process.die_with_parent import die_with_parent
from phpgw.process.log_file import ReopenableLogFile
from phpgw.process.messages import REPORTS, Message, encode_message
from phpgw.process.parent_pipe import read_first_message
from phpgw.process_role import ProcessRole
from phpgw.settings.option import InvalidOption
from phpgw.workers.job import WorkerJob

# These are for the parent, which tells its workers; a terminal sends some to each process.
_PARENT_SIGNALS = (signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)


def main() -> None:
    """Run a worker until its parent tells it to stop, or ends."""
    die_with_parent()
    for number in _PARENT_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    job = read_first_message("a worker")
    try:
        _serve(job)
    except InvalidOption as error:
        _fail(str(error))


def _serve(message: Message) -> None:
    job = WorkerJob.from_json(message)
    settings = job.settings()
    # Imported here, since loading these modules takes some time.
    from twisted.internet import reactor
    from twisted.logger import globalLogBeginner

    from phpgw.pools.selection import no_pools
    from phpgw.service import open_gateway
    from phpgw.workers.parent_link import ParentLink

    make = partial(make_observer, settings.log_level, settings.log_format)
    log_file = None if job.log_path is None else ReopenableLogFile(Path(job.log_path), make)
    link = ParentLink(reactor, job)
    role = ProcessRole(
        part=f"worker {job.number + 1}",
        opened=message["sockets"],
        make_fpm=link.make_fpm,
        make_pools=no_pools,
        make_signals=link.make_signals,
        make_tokens=link.tokens.make,
        share_figures=link.share_figures,
        share_feed=link.share_feed,
        share_failures=link.share_failures,
        share_proxied_ports=link.knowledge.share_proxied_ports,
        share_probes=link.knowledge.share_probes,
        share_node=link.deaths.share,
        share_report=link.share_report,
        share_readiness=link.share_readiness,
    )
    gateway = open_gateway(settings, reactor, log_file, role)
    stream = sys.stdout if job.log_descriptor == 1 else sys.stderr
    observer = make(stream) if log_file is None else log_file.open()
    globalLogBeginner.beginLoggingTo([WorkerTag(job.number + 1, observer)])
    gateway.privilegedStartService()
    gateway.startService()
    running: Any = reactor

    def stop() -> Deferred[None]:
        return gateway.stopService().addCallback(link.report_last)

    running.addSystemEventTrigger("before", "shutdown", stop)
    running.run()


def _fail(reason: str) -> None:
    """Tell the parent why the worker does not start."""
    os.write(REPORTS, encode_message("failed", reason=reason))
    sys.exit(1)


if __name__ == "__main__":
    main()
