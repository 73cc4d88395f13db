"""Who listens on a port; Linux alone."""

from pathlib import Path

_LISTENING = "0A"


def listening_on(port: int) -> list[int]:
    """The ids of the processes that listen on this TCP port, as far as we may see them."""
    inodes = {f"socket:[{inode}]" for inode in _inodes(port)}
    return sorted(
        int(process.name)
        for process in Path("/proc").glob("[0-9]*")
        if not inodes.isdisjoint(_open_files(process))
    )


def _inodes(port: int) -> set[str]:
    found = set()
    for name in ("tcp", "tcp6"):
        table = Path(f"/proc/net/{name}")
        for line in table.read_text().splitlines()[1:] if table.exists() else ():
            fields = line.split()
            if fields[3] == _LISTENING and int(fields[1].rpartition(":")[2], 16) == port:
                found.add(fields[9])
    return found


def _open_files(process: Path) -> set[str]:
    try:
        return {str(link.readlink()) for link in (process / "fd").iterdir()}
    except OSError:
        return set()
