"""Makes a gateway as a worker will, to find out whether that works.

So mistakes in the options are reported before the parent starts, or goes into the background. It
happens in a process of its own, ``python -m phpgw.workers.rehearsal``, so that the parent stays
small.
"""

import json
import subprocess
import sys
from typing import Any

import attrs

from phpgw.backend.fpm.endpoint import FpmEndpoint
from phpgw.process.message_process import program_command, program_environment
from phpgw.settings import Settings
from phpgw.settings.option import InvalidOption
from phpgw.workers.job import WorkerJob

_SECONDS = 60


def rehearse(job: WorkerJob) -> None:
    """Make a gateway with what a worker is told.

    :raises SystemExit: with a line of explanation, if that fails.
    """
    tried = subprocess.run(
        program_command("workers.rehearsal"),
        input=json.dumps(attrs.asdict(job)).encode(),
        env=program_environment(),
        timeout=_SECONDS,
    )
    if tried.returncode:
        # It has told why.
        sys.exit(tried.returncode)


def main() -> None:
    """Read a job from the standard input; exit with 1 and an explanation if it cannot be done."""
    job = WorkerJob.from_json(json.load(sys.stdin))
    # Imported here, since loading these modules takes some time.
    from twisted.internet import reactor

    from phpgw.pools.selection import no_pools
    from phpgw.process_role import ProcessRole
    from phpgw.service import make_gateway

    def make_fpm(settings: Settings, reactor: Any) -> FpmEndpoint:
        return FpmEndpoint(reactor)

    try:
        # None of these sockets is opened.
        role = ProcessRole(
            opened=dict.fromkeys(job.endpoints, 0), make_fpm=make_fpm, make_pools=no_pools
        )
        make_gateway(job.settings(), reactor, role=role)
    except InvalidOption as error:
        sys.exit(f"phpgw: {error}")


if __name__ == "__main__":
    main()
