"""The program PgBouncer: where it is, and how it is started."""

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from phpgw.process import guardian
from phpgw.settings.option import InvalidOption
from phpgw.settings.pool_config import PoolConfig
from phpgw.settings.pool_text import OPTION

# Where Debian and others keep it; often missing from a user's PATH.
_OTHER_DIRECTORIES = ("/usr/local/sbin", "/usr/sbin", "/usr/local/bin", "/usr/bin")
# The first descriptors that the program gets beside those of its guardian.
_PASSED = guardian.WATCHED + 1
# It takes listening sockets as systemd passes them on (sd_listen_fds(3)): from descriptor 3 on, if
# LISTEN_PID is its own id, which a shell knows before it becomes the program.
_TAKE_SOCKETS = 'exec 3<&4 4<&5 5<&-; LISTEN_FDS=2 LISTEN_PID=$$ exec "$@"'


def find_pgbouncer(pool: PoolConfig) -> Path:
    """Return the program.

    :param pool: the pool that needs it.
    :raises InvalidOption: if it is not installed, or takes no sockets.
    """
    path = os.pathsep.join((os.environ.get("PATH", ""), *_OTHER_DIRECTORIES))
    found = shutil.which("pgbouncer", path=path)
    if found is None:
        expected = "PgBouncer for it, and it was not found: apt-get install pgbouncer"
        raise InvalidOption(OPTION, expected, repr(str(pool)))
    if not _takes_sockets(found):
        expected = f"a PgBouncer 1.14 or later that was built with systemd, as {found} was not"
        raise InvalidOption(OPTION, expected, repr(str(pool)))
    return Path(found)


def _takes_sockets(program: str) -> bool:
    """Return whether PgBouncer takes sockets that are passed on; it would open others."""
    try:
        ended = subprocess.run([program, "--version"], capture_output=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return b"systemd: yes" in ended.stdout


def pgbouncer_command(program: Path, configuration: Path) -> list[str]:
    """Return the command line for a process that has the descriptors of :func:`passed_sockets`."""
    return ["/bin/sh", "-c", _TAKE_SOCKETS, "sh", str(program), str(configuration)]


def passed_sockets(pool: int, console: int) -> Mapping[int, int]:
    """Return which descriptor the program gets for each of this process.

    :param pool: the socket that PHP connects to.
    :param console: the socket of the console.
    """
    return {_PASSED: pool, _PASSED + 1: console}
