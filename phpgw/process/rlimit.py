"""RLIMIT_NOFILE, the limit on file descriptors. The gateway needs one for each client."""

import resource

from twisted.logger import Logger

_log = Logger()

# The limit before it was raised. PHP-FPM is started with it, since programs that use select(2) fail
# on descriptors above 1023, and others close each number up to the limit.
INITIAL_LIMIT, _ = resource.getrlimit(resource.RLIMIT_NOFILE)


def raise_limit() -> None:
    """Raise RLIMIT_NOFILE to its hard limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        # Only if there is something to raise. A sandbox may forbid the call.
        if soft != hard:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except (OSError, ValueError) as error:
        _log.warn("Not more than {soft} file descriptors: {error}", soft=soft, error=error)
    else:
        _log.info("Up to {hard} file descriptors (from {soft})", hard=hard, soft=soft)
