"""The usage of a process: descriptors, memory, CPU time; Linux alone."""

import os
import re
from pathlib import Path


def resident(pid: int) -> int:
    """Bytes of memory that it has in use."""
    found = re.search(r"^VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    assert found is not None, f"process {pid} has no memory"
    return int(found[1]) * 1024


def open_files(pid: int) -> int:
    """Return the number of its open descriptors."""
    return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())


def processor_seconds(pid: int) -> float:
    """Return the CPU time that it has used."""
    # The name, in parentheses, may itself hold blanks and parentheses.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
