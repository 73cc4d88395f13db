"""The limit on open files (RLIMIT_NOFILE): each client takes one."""

import resource
from collections.abc import Iterator

from phpgw.checks.finding import Finding, Subject
from phpgw.checks.situation import Situation
from phpgw.process.fd_budget import FdBudget, descriptors_needed

OPEN_FILES = Subject("open-files")


def check_open_files(situation: Situation) -> Iterator[Finding]:
    """Yield whether there can be as many clients as the settings allow."""
    if situation.report is not None:
        limit = situation.report["open_files"]
    else:
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        limit = None if hard == resource.RLIM_INFINITY else hard
    settings = situation.settings
    wanted = FdBudget(settings["max-connections"], settings["max-http-connections"])
    needed = descriptors_needed(
        wanted, situation.concurrency, sites=2 if settings["api-listen"] else 1
    )
    seen = f"RLIMIT_NOFILE {'unlimited' if limit is None else limit}, {needed} needed"
    if limit is not None and limit < needed:
        yield OPEN_FILES.warn(
            f"There are {limit} open files at most, too few for {wanted.clients} clients "
            "(--max-connections)",
            why="Clients beyond that get status 503.",
            fix=f"LimitNOFILE={_rounded(needed)}",
            where="[Service] in the gateway's unit",
            seen=seen,
        )
    else:
        yield OPEN_FILES.ok(
            f"There are open files for {wanted.clients or 'all'} clients", seen=seen
        )


def _rounded(count: int) -> int:
    """Return the next power of two."""
    return 1 << (count - 1).bit_length()
