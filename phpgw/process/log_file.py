"""The log file of a gateway in the background, which other programs may move away (logrotate)."""

from pathlib import Path
from typing import IO, Any, cast

from twisted.application.service import MultiService
from twisted.logger import FileLogObserver, ILogObserver, Logger, textFileLogObserver
from twisted.python.components import Componentized
from twisted.python.logfile import LogFile

from phpgw.seldom import line_limit


class ReopenedLog:
    """Writes to a file that can be opened anew under its name.

    :param path: absolute, since twistd may change the working directory.
    """

    log = Logger(observer=line_limit)

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: LogFile | None = None

    def open(self) -> FileLogObserver:
        """What writes to it from now on."""
        self._file = file = LogFile.fromFullPath(str(self._path))
        return textFileLogObserver(cast(IO[Any], file))

    def reopen(self) -> None:
        """Go on in the file that has the name now, which is made if there is none."""
        if self._file is None:
            return
        try:
            # Before the old one is let go.
            self._path.open("ab").close()
        except OSError as error:
            self.log.error(
                "The log goes on in the file that was open: {path}: {reason}",
                path=str(self._path),
                reason=error.strerror,
            )
            return
        self._file.reopen()
        self.log.info("The log file was opened anew")


class LoggedService(MultiService):
    """Has twistd log all that its services say to this log."""

    def __init__(self, log: ReopenedLog) -> None:
        super().__init__()
        self._log = log

    def setServiceParent(self, parent: Componentized) -> None:  # noqa: N802
        """Belong to twistd's application, which logs where its component tells it to."""
        parent.setComponent(ILogObserver, self._log.open())
        super().setServiceParent(parent)
