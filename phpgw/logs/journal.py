"""systemd's journal: whether a stream leads to it, and how it is told the level of a line."""

import os
from collections.abc import Mapping
from typing import IO, Any

from twisted.logger import LogLevel

# Severities of syslog (RFC 5424, section 6.2.1).
_SEVERITIES = {
    LogLevel.debug: 7,
    LogLevel.info: 6,
    LogLevel.warn: 4,
    LogLevel.error: 3,
    LogLevel.critical: 2,
}


def priority(level: LogLevel) -> str:
    """Return the prefix of a line with this level; see sd-daemon(3)."""
    return f"<{_SEVERITIES[level]}>"


def is_journal(stream: IO[Any], environment: Mapping[str, str]) -> bool:
    """Return whether systemd has connected a stream to its journal.

    A variable has the device and the inode of what it has connected; see systemd.exec(5).
    """
    named = environment.get("JOURNAL_STREAM")
    if not named:
        return False
    try:
        status = os.fstat(stream.fileno())
    except (AttributeError, OSError, ValueError):
        return False
    return named == f"{status.st_dev}:{status.st_ino}"
