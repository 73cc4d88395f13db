"""The log file of a gateway in the background, which other programs may move away (logrotate)."""

import os
from fcntl import F_GETFL, F_SETFL, fcntl
from pathlib import Path
from typing import IO, Any, cast

from twisted.application.service import MultiService
from twisted.logger import FileLogObserver, ILogObserver, Logger, textFileLogObserver
from twisted.python.components import Componentized
from twisted.python.logfile import LogFile

from phpgw.log_limit import line_limit


class _AppendedFile(LogFile):
    """Writes at the end, wherever that is: another program may have cut it off (copytruncate)."""

    def _openFile(self) -> None:  # noqa: N802
        super()._openFile()
        descriptor = self._file.fileno()
        fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) | os.O_APPEND)


class ReopenableLogFile:
    """Writes to a file that can be opened anew under its name.

    :param path: absolute, since twistd may change the working directory.
    """

    log = Logger(observer=line_limit)

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: _AppendedFile | None = None

    def open(self) -> FileLogObserver:
        """The observer that writes to it from now on."""
        self._file = file = _AppendedFile.fromFullPath(str(self._path))
        return textFileLogObserver(cast(IO[Any], file))

    def reopen(self) -> None:
        """Go on in the file that has the name now, which is made if there is none."""
        if self._file is None:
            return
        try:
            # Before the old one is let go. A pipe would block, or has no end to write at.
            descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_NONBLOCK, 0o666)
            try:
                os.lseek(descriptor, 0, os.SEEK_END)
            finally:
                os.close(descriptor)
        except OSError as error:
            self.log.error(
                "The log goes on in the file that was open: {path}: {reason}",
                path=str(self._path),
                reason=error.strerror,
            )
            return
        self._file.reopen()
        self.log.info("The log file was opened anew")


class LogObserverService(MultiService):
    """Has twistd log all that its services say to this log."""

    def __init__(self, log: ReopenableLogFile) -> None:
        super().__init__()
        self._log = log

    def setServiceParent(self, parent: Componentized) -> None:  # noqa: N802
        """Belong to twistd's application, which logs where its component tells it to."""
        parent.setComponent(ILogObserver, self._log.open())
        super().setServiceParent(parent)
