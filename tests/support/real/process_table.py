"""The process table of this machine, with parents; Linux alone."""

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import NamedTuple


class Identity(NamedTuple):
    """One process; the start time tells it from a later one that has its number."""

    pid: int
    start_time: int


class _Entry(NamedTuple):
    identity: Identity
    parent: int
    group: int

    def command_line(self) -> str:
        try:
            return Path(f"/proc/{self.identity.pid}/cmdline").read_text(errors="replace")
        except OSError:
            return ""


def _process_table() -> Iterator[_Entry]:
    """All processes that have not ended."""
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            # The name, in parentheses, may itself hold blanks and parentheses.
            fields = path.read_text(errors="replace").rpartition(")")[2].split()
        except OSError:
            continue
        state, parent, group = fields[:3]
        if state not in "ZX":
            identity = Identity(int(path.parent.name), int(fields[19]))
            yield _Entry(identity, int(parent), int(group))


def children(pid: int) -> list[int]:
    """The ids of the processes that this one has started."""
    return [entry.identity.pid for entry in _process_table() if entry.parent == pid]


def group_members(group: int) -> set[Identity]:
    """The processes of a process group."""
    return {entry.identity for entry in _process_table() if entry.group == group}


def naming(path: Path) -> set[Identity]:
    """The processes on whose command line this path stands."""
    return {entry.identity for entry in _process_table() if str(path) in entry.command_line()}


def descendants(pid: int) -> set[Identity]:
    """The processes that this one has started, those that these have started, and so on."""
    table = list(_process_table())
    found: set[Identity] = set()
    parents = {pid}
    while parents:
        generation = {entry.identity for entry in table if entry.parent in parents}
        found |= generation
        parents = {identity.pid for identity in generation}
    return found


def still_running(processes: Collection[Identity]) -> set[Identity]:
    """Those of these processes that have not ended."""
    return {entry.identity for entry in _process_table()} & set(processes)
