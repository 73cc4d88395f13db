"""What can go wrong between an event and its reply."""

from twisted.internet.defer import CancelledError, Deferred


class BackendError(Exception):
    """PHP gave no usable answer; the text says what happened.

    :ivar error_id: where it is in the log already, with others of its kind: under which id.
    """

    def __init__(self, problem: str, error_id: str | None = None) -> None:
        super().__init__(problem)
        self.error_id = error_id


class BackendUnreachable(BackendError):
    """No connection could be made; the event never reached PHP."""


class ScriptNotFound(BackendError):
    """Something answers a probe, but the script is elsewhere."""


class BackendBusy(BackendError):
    """PHP is there and had no worker free for the event, which certainly never ran."""


class BackendTimeout(BackendError):
    """PHP took too long.

    :ivar ended: fires with ``None`` once the script has ended; ``None`` where that is not known.
    """

    def __init__(self, problem: str, ended: Deferred[None] | None = None) -> None:
        super().__init__(problem)
        self.ended = ended


class BackendBroken(BackendError):
    """The connection ended, or made no sense, before the answer was complete."""


class ReplyTooLarge(BackendError):
    """PHP printed more than is taken from it."""


class PhpErrorReported(BackendError):
    """PHP has said itself that the script's reply is not what the script wanted it to be."""


class Withdrawn(CancelledError):
    """An event was taken back before PHP had it.

    :ivar cause: why PHP had not, where it could not be reached.
    """

    def __init__(self, cause: BackendError | None = None) -> None:
        super().__init__()
        self.cause = cause
