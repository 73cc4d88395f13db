"""The gateway's own UNIX sockets: who may connect to them."""

import stat
from collections.abc import Iterator
from pathlib import Path

from phpgw.checks.finding import Finding, Subject
from phpgw.checks.fix_lines import setting
from phpgw.checks.permissions import describe_mode
from phpgw.checks.situation import Situation
from phpgw.settings.endpoint_text import escape
from phpgw.settings.server_address import UnixServer, parse_server_address

SOCKETS = Subject("sockets")
_EVERYBODY, _GROUP = stat.S_IWOTH, stat.S_IWGRP


def check_sockets(situation: Situation) -> Iterator[Finding]:
    """Yield who may connect to the sockets of a gateway that runs."""
    for option in ("listen", "api-listen"):
        for endpoint in situation.settings[option]:
            address = parse_server_address(endpoint)
            if address is not None and isinstance(address.server, UnixServer):
                yield _check(option, Path(address.server.path))


def _check(option: str, path: Path) -> Finding:
    try:
        mode, seen = path.stat().st_mode, describe_mode(path)
    except (OSError, KeyError) as error:
        return SOCKETS.skipped(f"{path} was not looked at ({error})", why="Rights to look at it.")
    if not mode & (_EVERYBODY | _GROUP):
        return SOCKETS.warn(
            f"Only one user may connect to {path} (--{option})",
            why="A web server with a user of its own gets Permission denied, and browsers 502.",
            fix=setting(option, f"unix:{escape(str(path))}:mode=666"),
            where="the gateway's configuration; the directory's rights then say who may connect",
            seen=seen,
        )
    who = "All users" if mode & _EVERYBODY else "The users of a group"
    return SOCKETS.ok(f"{who} may connect to {path} (--{option})", seen=seen)
