"""How many file descriptors this process may have: one for each client, and some more."""

import resource

from twisted.logger import Logger

_log = Logger()

# What it was when we were started: what PHP gets to see, since programs from the days of select(2)
# think that a descriptor above 1023 cannot be, and others close each number up to the limit.
INITIAL_LIMIT, _ = resource.getrlimit(resource.RLIMIT_NOFILE)


def raise_limit() -> None:
    """Raise RLIMIT_NOFILE to its hard limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        # Not where there is nothing to raise: a sandbox may forbid even that.
        if soft != hard:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except (OSError, ValueError) as error:
        _log.warn("Not more than {soft} file descriptors: {error}", soft=soft, error=error)
    else:
        _log.info("Up to {hard} file descriptors (from {soft})", hard=hard, soft=soft)
