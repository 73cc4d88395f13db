"""The process behind a listening socket, as Linux tells it (proc(5), unix(7))."""

import os
import re
import socket
import stat
import struct
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import attrs

_LISTEN = "0A"
_TABLES = ("/proc/net/tcp", "/proc/net/tcp6")
_INODE = re.compile(r"socket:\[([0-9]+)\]")
_CREDENTIALS = struct.Struct("3i")
# The real, effective, saved and file system user: proc(5).
_UIDS = re.compile(r"^Uid:\s+([0-9\s]+)$", re.MULTILINE)
_WRITABLE_FOR_OTHERS = stat.S_IWGRP | stat.S_IWOTH


@attrs.frozen
class Process:
    """A process.

    :ivar title: its command line. It may be foreign text.
    """

    pid: int
    title: str

    def __str__(self) -> str:
        return f"{self.title.partition(' ')[0].rpartition('/')[2].rstrip(':')} (pid {self.pid})"


def peer_of(connection: socket.socket) -> Process | None:
    """Return the process that listens at the other end of a connected UNIX socket.

    ``None`` if it is in another container, or may not be seen.
    """
    try:
        data = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    except OSError:
        return None
    pid, _, _ = _CREDENTIALS.unpack(data)
    return _process(pid) if pid > 0 else None


def listener_of(port: int) -> Process | None:
    """Return the process that listens on a TCP port; ``None`` if it may not be seen.

    Without rights to look into the processes of others, it is found only if it is one's own.
    """
    inodes = {inode for table in _TABLES for inode in _listening(Path(table), port)}
    if inodes:
        for directory in Path("/proc").glob("[0-9]*"):
            if not inodes.isdisjoint(_sockets(directory)):
                return _process(int(directory.name))
    return None


def processes_titled(pattern: re.Pattern[str]) -> Iterator[Process]:
    """Yield the processes that may be believed, and whose whole command line matches."""
    for directory in Path("/proc").glob("[0-9]*"):
        process = _process(int(directory.name))
        if process is not None and pattern.fullmatch(process.title) and is_trusted(process):
            yield process


def is_trusted(process: Process) -> bool:
    """Return whether root, or the user of this process, has started a process.

    Only then does its command line tell the truth: any user can give a process any title. The
    effective user is not enough, since whoever starts a set-user-ID program chooses its title.
    """
    try:
        status = Path(f"/proc/{process.pid}/status").read_text(errors="replace")
    except OSError:
        return False
    users = _UIDS.search(status)
    return users is not None and {*map(int, users[1].split())} <= {0, os.geteuid()}


def program_of(process: Process) -> str | None:
    """Return the path of a process's program, if it may be run; ``None`` if not.

    Nobody but root, or the user of this process, can have written it, and none but these has
    started it.
    """
    running = Path(f"/proc/{process.pid}/exe")
    try:
        path = str(running.readlink())
        # In another container, another program may have this path.
        is_same = running.samefile(path)
        found = Path(path).stat()
    except OSError:
        return None
    is_safe = found.st_uid in (0, os.geteuid()) and not found.st_mode & _WRITABLE_FOR_OTHERS
    return path if is_same and is_safe and is_trusted(process) else None


def _listening(table: Path, port: int) -> Iterator[str]:
    with suppress(OSError):
        for line in table.read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == _LISTEN and int(fields[1].rpartition(":")[2], 16) == port:
                yield fields[9]


def _sockets(directory: Path) -> Iterator[str]:
    with suppress(OSError):
        for each in (directory / "fd").iterdir():
            with suppress(OSError):
                match = _INODE.fullmatch(str(each.readlink()))
                if match:
                    yield match[1]


def _process(pid: int) -> Process | None:
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0").split(b"\0")
    except OSError:
        return None
    return Process(pid, os.fsdecode(b" ".join(words)))
