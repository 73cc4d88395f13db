"""The log file of a gateway in the background, with support for logrotate."""

import os
from collections.abc import Callable
from fcntl import F_GETFL, F_SETFL, fcntl
from pathlib import Path
from typing import IO, Any, cast

from twisted.application.service import MultiService
from twisted.logger import ILogObserver, Logger
from twisted.python.components import Componentized
from twisted.python.logfile import LogFile

from phpgw.log_limit import line_limit


class _AppendOnlyLogFile(LogFile):
    """A log file in append mode, since another program may truncate it (copytruncate)."""

    def _openFile(self) -> None:  # noqa: N802
        super()._openFile()
        descriptor = self._file.fileno()
        fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) | os.O_APPEND)


class ReopenableLogFile:
    """A log file that can be reopened after it was moved (rotated).

    :ivar path: an absolute path, since twistd may change the working directory.
    :param make_observer: returns an observer that writes to the file.
    """

    log = Logger(observer=line_limit)

    def __init__(self, path: Path, make_observer: Callable[[IO[Any]], ILogObserver]) -> None:
        self.path = path
        self._make_observer = make_observer
        self._file: _AppendOnlyLogFile | None = None

    def open(self) -> ILogObserver:
        """Open the file; return an observer that writes to it."""
        self._file = file = _AppendOnlyLogFile.fromFullPath(str(self.path))
        return self._make_observer(cast(IO[Any], file))

    def reopen(self) -> None:
        """Close the file, and open the one that has its path now. Create it if it is missing."""
        if self._file is None:
            return
        try:
            # First, check that it can be opened. A pipe would block, and cannot be appended to.
            descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_NONBLOCK, 0o666)
            try:
                os.lseek(descriptor, 0, os.SEEK_END)
            finally:
                os.close(descriptor)
        except OSError as error:
            self.log.error(
                "The log goes on in the file that was open: {path}: {reason}",
                path=str(self.path),
                reason=error.strerror,
            )
            return
        self._file.reopen()
        self.log.info("The log file was opened anew")


class LogObserverService(MultiService):
    """A parent service that makes twistd log to an observer of its own.

    :param open_observer: opens the log, and returns its observer.
    """

    def __init__(self, open_observer: Callable[[], ILogObserver]) -> None:
        super().__init__()
        self._open_observer = open_observer

    def setServiceParent(self, parent: Componentized) -> None:  # noqa: N802
        """Set the parent, and the log observer of the parent (twistd's application)."""
        parent.setComponent(ILogObserver, self._open_observer())
        super().setServiceParent(parent)
