"""Messages for connections to PHP-FPM that fail, with what may help."""

import errno

from OpenSSL import SSL
from service_identity import VerificationError
from twisted.internet.defer import TimeoutError as DeferredTimeoutError
from twisted.internet.error import (
    ConnectError,
    ConnectingCancelledError,
    ConnectionClosed,
)
from twisted.internet.error import TimeoutError as ConnectTimeoutError
from twisted.python.failure import Failure

from phpgw.backend.errors import BackendError
from phpgw.transport.tls_errors import tls_reason

_HELP = {
    errno.ENOENT: "is PHP-FPM running, and is this its pool's listen=?",
    errno.ECONNREFUSED: "is PHP-FPM running, and is this its pool's listen=?",
    errno.EACCES: "the socket is not the gateway's to use; see listen.owner, listen.group and "
    "listen.mode of the pool",
}


def is_backlog_full(failure: Failure) -> bool:
    """Return whether PHP-FPM is there, and its listen queue is full.

    For a UNIX socket that is EAGAIN. Twisted waits for such a connection like for one over TCP,
    finds it closed, and reports no error number.
    """
    return failure.type is ConnectError and failure.value.osError is None  # type: ignore


def why_not_connected(failure: Failure) -> str:
    """Return why PHP-FPM cannot be asked, and what may help."""
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
