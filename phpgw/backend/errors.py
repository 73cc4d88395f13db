"""Errors of backends."""

from twisted.internet.defer import CancelledError, Deferred


class BackendError(Exception):
    """There is no usable reply; the text says why.

    :ivar log_id: the id of the line that the log has for it already, which many events share;
        ``None`` if there is none.
    """

    def __init__(self, problem: str, log_id: str | None = None) -> None:
        super().__init__(problem)
        self.log_id = log_id


class BackendUnreachable(BackendError):
    """There is no connection to PHP; the event has not run."""


class ScriptNotFound(BackendError):
    """The web server responds to a probe, but the script is not there."""


class BackendBusy(BackendError):
    """PHP had no idle worker for the event, which has not run."""


class BackendTimeout(BackendError):
    """PHP did not reply in time.

    :ivar ended: fires with ``None`` once the script has ended; ``None`` if that will not be known.
    """

    def __init__(self, problem: str, ended: Deferred[None] | None = None) -> None:
        super().__init__(problem)
        self.ended = ended


class BackendBroken(BackendError):
    """The connection ended, or was invalid, before the reply was complete."""


class ReplyTooLarge(BackendError):
    """The reply is larger than the limit."""


class PhpErrorReported(BackendError):
    """PHP reported an error that makes the reply worthless, on standard error."""


class Withdrawn(CancelledError):
    """An event was withdrawn before it was sent.

    :ivar cause: why it was not sent, if PHP could not be reached.
    """

    def __init__(self, cause: BackendError | None = None) -> None:
        super().__init__()
        self.cause = cause
