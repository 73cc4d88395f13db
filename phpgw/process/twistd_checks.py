"""Checks before twistd starts: process id file, log file, directories, privileges.

Without them, twistd would fail late: with a traceback, or after it went into the background, where
nobody sees the error. It also takes any process with the id in an old process id file for itself.
In a container, where ids repeat, it would then never start again.
"""

import os
from collections.abc import Mapping, MutableMapping
from errno import ESPIPE
from pathlib import Path
from stat import S_ISREG
from typing import Any

# The options of twistd itself that people give to phpgw.
TWISTD_OPTIONS = frozenset(
    (
        *("n", "nodaemon", "pidfile", "l", "logfile", "logger", "syslog", "prefix", "d", "rundir"),
        *("u", "uid", "g", "gid", "euid", "umask", "chroot", "r", "reactor", "b", "debug"),
    )
)
_PID_FILE = "twistd.pid"
_LOG_FILE = "twistd.log"


class CannotStart(Exception):
    """twistd would fail with these options. The text says why, and what to do."""


def prepare(twistd: MutableMapping[str, Any]) -> None:
    """Check that twistd will be able to start.

    In the foreground there is no process id file unless one is named, since the program that
    started the process knows its id.

    :param twistd: twistd's own parsed options. The process id file may be changed.
    :raises CannotStart: with one line of text.
    """
    if _stays_in_foreground(twistd) and twistd["pidfile"] == _PID_FILE:
        twistd["pidfile"] = ""
    _check_privileges(twistd)
    for name in ("rundir", "chroot"):
        directory = twistd[name]
        if directory is not None and not os.access(directory, os.X_OK):
            raise CannotStart(f"twistd --{name}: there is no directory {directory!r} to go to")
    if twistd["pidfile"]:
        _check_pid_file(_absolute(twistd["pidfile"], "pidfile"))
    log = log_path(twistd)
    if log is not None:
        _check_writable(log, "logfile")


def log_path(twistd: Mapping[str, Any]) -> Path | None:
    """Return the file that twistd logs to; ``None`` if it does not log to a file.

    :raises CannotStart: if the path is relative and the working directory does not exist.
    """
    named = twistd["logfile"]
    if has_own_logger(twistd) or named == "-":
        return None
    if not named and _stays_in_foreground(twistd):
        return None
    return _absolute(named or _LOG_FILE, "logfile")


def has_own_logger(twistd: Mapping[str, Any]) -> bool:
    """Return whether twistd's options name a logger, or the system's log."""
    return bool(twistd["syslog"] or twistd["logger"])


def _stays_in_foreground(twistd: Mapping[str, Any]) -> bool:
    return bool(twistd["nodaemon"] or twistd["debug"])


def _check_privileges(twistd: Mapping[str, Any]) -> None:
    if os.geteuid() == 0:
        return
    for name, own in (("uid", os.geteuid()), ("gid", os.getegid()), ("chroot", None)):
        if twistd[name] not in (None, own):
            raise CannotStart(f"twistd --{name} is for root alone")


def _absolute(name: str, option: str) -> Path:
    try:
        return Path(name).absolute()
    except OSError as error:
        raise CannotStart(f"twistd --{option}: no working directory: {error.strerror}") from None


def _check_pid_file(path: Path) -> None:
    """Remove the process id file of a gateway that does not run any more.

    A file with anything but a process id is not removed.
    """
    try:
        if not S_ISREG(path.stat().st_mode):
            # A device or a pipe must not be removed, and reading it may never end.
            raise CannotStart(f"twistd --pidfile: {path} is no file")
        text = path.read_text(errors="replace").strip()
        if not text or (text.isdecimal() and not _is_gateway(int(text))):
            # Another process has this id by now, or the file was not written completely.
            path.unlink()
        elif text.isdecimal():
            raise CannotStart(
                f"another gateway runs already, process {text} (it is in {path}); stop that, or "
                "give this one files of its own: twistd --pidfile FILE --logfile FILE phpgw ..."
            )
        else:
            raise CannotStart(
                f"twistd --pidfile: {path} has something else in it than a process id; name "
                "another file, or delete it"
            )
    except FileNotFoundError:
        pass
    except OSError as error:
        raise CannotStart(f"twistd --pidfile: {path}: {error.strerror}") from None
    _check_writable(path, "pidfile")


def _is_gateway(process: int) -> bool:
    if process in (0, os.getpid()):
        return False
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass
    try:
        words = Path(f"/proc/{process}/cmdline").read_bytes().split(b"\0")
    except OSError:
        # The system may have no /proc.
        return True
    return any(word.rpartition(b"/")[2] == b"phpgw" for word in words)


def _check_writable(path: Path, option: str) -> None:
    """Open a file for writing, as twistd will. A new file is deleted again."""
    is_new = not os.access(path, os.F_OK)
    # The target of a symbolic link may not exist.
    target = Path(os.path.realpath(path)) if is_new else path
    flags = os.O_CREAT | os.O_EXCL if is_new else os.O_NONBLOCK | os.O_NOCTTY
    try:
        descriptor = os.open(target, os.O_WRONLY | flags, 0o600)
        try:
            if is_new:
                target.unlink()
            # twistd starts a log at the end of the file.
            os.lseek(descriptor, 0, os.SEEK_END)
        finally:
            os.close(descriptor)
    except OSError as error:
        instead = (
            "twistd -n --logfile - logs to the standard output"
            if error.errno == ESPIPE
            else "name another file, or run it in the foreground: phpgw serve ..."
        )
        raise CannotStart(
            f"twistd --{option}: cannot write {path} ({error.strerror}); {instead}"
        ) from None
