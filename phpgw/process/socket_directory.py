"""A directory for the UNIX sockets of programs that the gateway starts."""

import os
import re
import tempfile
from pathlib import Path

# Places for it if TMPDIR cannot be used.
_OTHER_PLACES = ("/run", "/tmp", "/var/tmp", "/dev/shm")
# Paths that such programs read as they are; with a colon, a socket's path would be an address.
_PLAIN_PATH = re.compile(r"/[A-Za-z0-9/._+@,-]*")
# unix(7): sun_path has 108 bytes, with a NUL at the end. The names of a directory and of a socket
# follow.
_MAX_PLACE_LENGTH = 107 - len("/phpgw-12345678/1234567.sock")


class NoSocketDirectory(Exception):
    """There is no place for the directory; the text says why."""


def make_socket_directory() -> Path:
    """Make a directory for sockets and configurations, with a path that can be written plainly.

    Nobody but this user can look into it.

    :raises NoSocketDirectory: if there is no place for it.
    """
    usual = _usual_place()
    for place in (usual, *_OTHER_PLACES):
        if len(os.fsencode(place)) <= _MAX_PLACE_LENGTH and _PLAIN_PATH.fullmatch(place):
            try:
                return Path(tempfile.mkdtemp(prefix="phpgw-", dir=place))
            except OSError:
                continue
    raise NoSocketDirectory(
        f"there is no place for its socket: TMPDIR ({usual!r}) cannot be written to, or is longer "
        f"than {_MAX_PLACE_LENGTH} bytes, or has more in it than letters, digits and ._+@,-/"
    )


def _usual_place() -> str:
    try:
        return tempfile.gettempdir()
    except FileNotFoundError:
        return os.environ.get("TMPDIR", "")
