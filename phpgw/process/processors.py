"""The number of processors that this process may use."""

import os
from pathlib import Path

# cgroups(7), version 2: microseconds of all processors together, in each period; or "max".
_CPU_MAX = Path("/sys/fs/cgroup/cpu.max")


def count_processors() -> int:
    """Return the number of processors that this process may use, in a container, too; 1 at least.

    A limit of one and a half is two: the second one is busy half of the time.
    """
    count = len(os.sched_getaffinity(0))
    try:
        quota, period = map(int, _CPU_MAX.read_text().split())
    except (OSError, ValueError):
        return count
    return max(1, min(count, -(-quota // period)))
