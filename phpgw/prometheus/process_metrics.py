"""The metrics of the process itself, under the names that all clients of Prometheus use.

prometheus_client has a collector of its own for them. It lists all open file descriptors to count
them; with 10,000 clients this takes 18 ms, in which the gateway does nothing else.
"""

import os
import resource
from collections.abc import Iterator
from pathlib import Path

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric

from phpgw.metric_field import Merge

PROCESS_MERGES: dict[str, Merge] = {"process_start_time_seconds": "min"}
"""How the metrics of several processes become one, other than by their sum."""

_PROC = Path("/proc")
_DESCRIPTORS = Path("/proc/self/fd")
_TICKS = os.sysconf("SC_CLK_TCK")


def process_metrics() -> Iterator[Metric]:
    """Yield the metrics of this process; none where there is no /proc."""
    try:
        # proc(5): the name of the program is in parentheses, and may have spaces in it.
        fields = Path("/proc/self/stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return
    user_ticks, system_ticks, start_ticks = (int(fields[index]) for index in (11, 12, 19))
    yield CounterMetricFamily(
        "process_cpu_seconds",
        "Total user and system CPU time spent in seconds.",
        (user_ticks + system_ticks) / _TICKS,
    )
    for name, help_text, value in (
        ("virtual_memory_bytes", "Virtual memory size in bytes.", int(fields[20])),
        (
            "resident_memory_bytes",
            "Resident memory size in bytes.",
            int(fields[21]) * resource.getpagesize(),
        ),
        (
            "start_time_seconds",
            "Start time of the process since unix epoch in seconds.",
            _boot_time() + start_ticks / _TICKS,
        ),
        ("open_fds", "Number of open file descriptors.", _count_descriptors()),
        (
            "max_fds",
            "Maximum number of open file descriptors.",
            resource.getrlimit(resource.RLIMIT_NOFILE)[0],
        ),
    ):
        yield GaugeMetricFamily(f"process_{name}", help_text, value)


def _boot_time() -> int:
    """Return when the machine was started, in seconds since the epoch."""
    _, _, rest = (_PROC / "stat").read_bytes().partition(b"\nbtime ")
    return int(rest.split(maxsplit=1)[0])


def _count_descriptors() -> int:
    """Return the number of open file descriptors."""
    # Linux 6.2 and later know it.
    return _DESCRIPTORS.stat().st_size or sum(1 for _ in _DESCRIPTORS.iterdir())
