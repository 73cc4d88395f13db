"""The program of an own engine: where it is, and how it is started."""

import os
import shutil
from pathlib import Path

_NAMES = ("valkey-server", "redis-server")
# Where Debian keeps daemons; often missing from a user's PATH.
_OTHER_DIRECTORIES = ("/usr/local/bin", "/usr/bin", "/usr/local/sbin", "/usr/sbin")
_MAX_CONNECTIONS = 1024


def find_engine() -> Path | None:
    """Return the program of an engine that is installed; ``None`` if there is none."""
    path = os.pathsep.join((os.environ.get("PATH", ""), *_OTHER_DIRECTORIES))
    found = next((each for name in _NAMES if (each := shutil.which(name, path=path))), None)
    return None if found is None else Path(found)


def engine_command(program: Path, socket: Path) -> list[str]:
    """Return the command line of an engine that listens on a UNIX socket alone.

    It keeps nothing on disk: when it ends, the workers write again what they know.
    """
    settings = {
        "port": "0",
        "unixsocket": str(socket),
        "unixsocketperm": "600",
        "dir": str(socket.parent),
        "daemonize": "no",
        "save": "",
        "appendonly": "no",
        "databases": "1",
        "maxclients": str(_MAX_CONNECTIONS),
        "maxmemory-policy": "noeviction",
        # A worker that is busy for long loses no frames.
        "client-output-buffer-limit": "pubsub 256mb 64mb 60",
    }
    return [
        str(program),
        *(word for name, text in settings.items() for word in (f"--{name}", text)),
    ]
