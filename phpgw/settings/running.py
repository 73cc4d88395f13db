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
        "On SIGTERM: how long it may take to send the clients away (code 1001), each once PHP has "
        "answered what it has said. They go a hundred in a second, or more if they are so many, "
        "within three fifths of this time.",
    )
