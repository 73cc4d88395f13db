"""Options of the process as such."""

import attrs

from phpgw import values
from phpgw.options import option

_RUNNING = "Running"


@attrs.frozen(kw_only=True, slots=False)
class RunningSettings:
    """How it starts, runs and stops."""

    drain_timeout: float = option(
        _RUNNING,
        "TIME",
        values.duration,
        "10s",
        "On SIGTERM: how long messages that PHP is working on may take to finish before the last "
        "clients are sent away (code 1001).",
    )
