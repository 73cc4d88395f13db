"""Options of the process as such."""

import attrs

from phpgw.settings import parsers
from phpgw.settings.option import option

_RUNNING = "Running"


@attrs.frozen(kw_only=True, slots=False)
class ProcessSettings:
    """How it starts, runs and stops."""

    drain_timeout: float = option(
        _RUNNING,
        "TIME",
        parsers.duration,
        "8s",
        "How long stopping may take in all, from SIGTERM on. The clients are sent away (code "
        "1001), each once PHP has answered what it has said: a hundred in a second, or more if "
        "they are so many, within three fifths of this time. Docker kills what has not ended after "
        "10 s, unless docker stop --time says otherwise.",
    )
