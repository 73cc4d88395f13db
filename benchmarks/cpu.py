"""How much processor time processes have used so far; Linux alone."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")

# The processes of each role, such as "gateway".
Roles = Mapping[str, Iterable[int]]


def cpu_seconds(pids: Iterable[int]) -> float:
    """The user and system time of these processes, all their threads included."""
    ticks = 0
    for pid in pids:
        try:
            text = Path(f"/proc/{pid}/stat").read_text()
        except OSError:
            continue
        # The name, in parentheses, may itself hold blanks.
        fields = text.rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / _TICKS


class CpuMeter:
    """Tells what each role has used since the meter was made."""

    def __init__(self, roles: Roles) -> None:
        self._roles = {role: list(pids) for role, pids in roles.items()}
        self._before = self._read()

    def used(self) -> dict[str, float]:
        """Seconds by role."""
        return {role: now - self._before[role] for role, now in self._read().items()}

    def used_per_thousand(self, count: float) -> dict[str, float]:
        """The same for 1,000 of what was done ``count`` times, as ``cpu_ROLE``."""
        return {f"cpu_{role}": 1000 * used / max(count, 1) for role, used in self.used().items()}

    def _read(self) -> dict[str, float]:
        return {role: cpu_seconds(pids) for role, pids in self._roles.items()}
