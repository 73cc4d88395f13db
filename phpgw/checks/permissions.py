"""Permissions of files for other processes than this one (path_resolution(7)).

To try as root would prove nothing. ACLs and security modules are not looked at.
"""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from phpgw.checks.situation import Credentials

_READ, _WRITE, _SEARCH = 4, 2, 1


def may_connect(who: Credentials, path: Path) -> bool:
    """Return whether a process may connect to a UNIX socket (unix(7)), once it has reached it.

    :raises OSError: if the socket cannot be looked at.
    """
    return _allows(who, path.stat(), _WRITE)


def may_read(who: Credentials, path: Path) -> bool:
    """Return whether a process may read a file, once it has reached it.

    :raises OSError: if the file cannot be looked at.
    """
    return _allows(who, path.stat(), _READ)


def closed_directories(who: Credentials, path: Path) -> Iterator[Path]:
    """Yield the directories above a path that a process may not pass.

    :raises OSError: if one cannot be looked at.
    """
    for directory in reversed(Path(os.path.realpath(path)).parents):
        if not _allows(who, directory.stat(), _SEARCH):
            yield directory


def describe_mode(path: Path) -> str:
    """Return mode, owner and group of a file in words.

    :raises OSError: if it cannot be looked at.
    """
    return f"{stat.filemode(path.stat().st_mode)} {path.owner()}:{path.group()} {path}"


def _allows(who: Credentials, found: os.stat_result, wanted: int) -> bool:
    if who.uid == 0:
        return True
    if who.uid == found.st_uid:
        return bool(found.st_mode >> 6 & wanted)
    if found.st_gid in who.gids:
        return bool(found.st_mode >> 3 & wanted)
    return bool(found.st_mode & wanted)
