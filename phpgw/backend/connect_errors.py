"""Why there is no connection to PHP-FPM, or no worker, in words that help."""

import errno
from collections.abc import Callable

from OpenSSL import SSL
from service_identity import VerificationError
from twisted.internet.defer import TimeoutError as DeferredTimeoutError
from twisted.internet.error import (
    ConnectError,
    ConnectingCancelledError,
    ConnectionClosed,
)
from twisted.internet.error import TimeoutError as ConnectTimeoutError
from twisted.logger import Logger
from twisted.python.failure import Failure

from phpgw.backend.errors import BackendError
from phpgw.log_limit import LogThrottle, line_limit

# A wait for a worker of this many seconds is worth a word.
_LONG = 1.0

_HELP = {
    errno.ENOENT: "is PHP-FPM running, and is this its pool's listen=?",
    errno.ECONNREFUSED: "is PHP-FPM running, and is this its pool's listen=?",
    errno.EACCES: "the socket is not the gateway's to use; see listen.owner, listen.group and "
    "listen.mode of the pool",
}

NO_WORKER = (
    "PHP-FPM had no worker for it within {}, so it has not run: pm.max_children is too low for "
    "what its pool is asked, or --php-concurrency too high for what is left of it"
)


def is_backlog_full(failure: Failure) -> bool:
    """Return whether PHP-FPM is there and has too many in its queue.

    A UNIX socket says EAGAIN then. Twisted waits for such a connection like for one over TCP,
    sees it closed, and has no number for that.
    """
    return failure.type is ConnectError and failure.value.osError is None  # type: ignore


def why_not_connected(failure: Failure) -> str:
    """Say why PHP-FPM cannot be asked, and what may help."""
    error = failure.value
    assert error is not None
    if is_backlog_full(failure):
        return "PHP-FPM's queue is full, its workers do not keep up (pm.max_children)"
    if failure.check(BackendError):
        return str(error)
    if failure.check(ConnectionClosed):
        return (
            "it was closed before a worker took an event (over TCP: is this machine among its "
            "pool's listen.allowed_clients?)"
        )
    if failure.check(ConnectTimeoutError, DeferredTimeoutError, ConnectingCancelledError):
        return "nothing answers at its address"
    if failure.check(SSL.Error, VerificationError):
        return f"TLS: {tls_reason(error)}"
    number = getattr(error, "osError", None)
    help_ = _HELP.get(number) if isinstance(number, int) else None
    return f"{failure.getErrorMessage().rstrip('.')}" + (f" ({help_})" if help_ else "")


def tls_reason(error: BaseException) -> str:
    """Take OpenSSL's words out of its lists of tuples: library, function, reason."""
    if isinstance(error, VerificationError):
        return "the certificate is for another name"
    details = error.args[0] if error.args else None
    if isinstance(details, list):
        words = [each[-1] for each in details if isinstance(each, tuple) and each]
        return ", ".join(map(str, words)) or "broken off"
    return str(error) or type(error).__name__


class BusyLog:
    """Says now and then that PHP-FPM has too few workers.

    :param seconds: the time.
    """

    log = Logger(observer=line_limit)

    def __init__(self, seconds: Callable[[], float]) -> None:
        self._seldom = LogThrottle(seconds)

    def waited(self, seconds: float) -> None:
        """Note that an event has waited so long until a worker was free for it."""
        if seconds < _LONG:
            return
        count = self._seldom.count()
        if count:
            self.log.warn(
                "PHP-FPM has too few workers: {count} more events have waited for one there, the "
                "last of them for {seconds:.1f} s. Raise pm.max_children in its pool, or lower "
                "--php-concurrency to what is left of it",
                count=count,
                seconds=seconds,
            )
