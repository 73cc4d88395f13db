"""What twistd does around the gateway: process id file, log file, going into the background.

twistd finds out too late what it cannot do, with a traceback, or after it has gone into the
background, where nobody is left to be told. It takes any process that has the number in an old
process id file for itself, in a container for ever. So all of it is looked at beforehand.
"""

import os
from collections.abc import Mapping, MutableMapping
from pathlib import Path
from typing import Any

_PID_FILE = "twistd.pid"
_LOG_FILE = "twistd.log"


class CannotStart(Exception):
    """twistd cannot do what it was told; the text says why, and what to do."""


def prepare(twistd: MutableMapping[str, Any]) -> None:
    """Make sure that twistd will start, or say why it cannot.

    In the foreground there is no process id file unless one is named: whoever started the process
    knows it.

    :param twistd: twistd's own options, as it has understood them.
    :raises CannotStart: with one line.
    """
    if _stays_in_foreground(twistd) and twistd["pidfile"] == _PID_FILE:
        twistd["pidfile"] = ""
    _check_privileges(twistd)
    for name in ("rundir", "chroot"):
        directory = twistd[name]
        if directory is not None and not os.access(directory, os.X_OK):
            raise CannotStart(f"twistd --{name}: there is no directory {directory!r} to go to")
    if twistd["pidfile"]:
        _check_pid_file(Path(twistd["pidfile"]).absolute())
    log = log_path(twistd)
    if log is not None:
        _check_writable(log, "logfile")


def log_path(twistd: Mapping[str, Any]) -> Path | None:
    """The file that twistd logs to; ``None`` if it logs to something else."""
    named = twistd["logfile"]
    if twistd["syslog"] or twistd["logger"] or named == "-":
        return None
    if not named and _stays_in_foreground(twistd):
        return None
    return Path(named or _LOG_FILE).absolute()


def _stays_in_foreground(twistd: Mapping[str, Any]) -> bool:
    return bool(twistd["nodaemon"] or twistd["debug"])


def _check_privileges(twistd: Mapping[str, Any]) -> None:
    if os.geteuid() == 0:
        return
    for name, own in (("uid", os.geteuid()), ("gid", os.getegid()), ("chroot", None)):
        if twistd[name] not in (None, own):
            raise CannotStart(f"twistd --{name} is for root alone")


def _check_pid_file(path: Path) -> None:
    """Remove a process id file that is of no process of ours any more.

    What is in it but a number is left for twistd to complain of.
    """
    try:
        text = path.read_text(errors="replace").strip()
        if not text or (text.isdecimal() and not _is_gateway(int(text))):
            # A number that another process has by now, or a crash in the middle of writing.
            path.unlink()
        elif text.isdecimal():
            raise CannotStart(
                f"another gateway runs already, process {text} (it is in {path}); stop that, or "
                "give this one files of its own: twistd --pidfile FILE --logfile FILE phpgw ..."
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
        # There may be no /proc.
        return True
    return any(word.rpartition(b"/")[2] == b"phpgw" for word in words)


def _check_writable(path: Path, option: str) -> None:
    writable = os.access(path, os.W_OK) if path.exists() else os.access(path.parent, os.W_OK)
    if not writable or path.is_dir():
        raise CannotStart(
            f"twistd --{option}: cannot write {path}; name another file, or run it in the "
            f"foreground: phpgw serve ..."
        )
