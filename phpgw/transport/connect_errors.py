"""Messages for connections to servers that fail or end."""

from OpenSSL import SSL
from service_identity import VerificationError
from twisted.internet.defer import CancelledError
from twisted.internet.defer import TimeoutError as DeferredTimeoutError
from twisted.internet.error import ConnectingCancelledError, ConnectionClosed
from twisted.internet.error import TimeoutError as ConnectTimeoutError

from phpgw.transport.tls_errors import tls_reason

_SILENT = (ConnectTimeoutError, DeferredTimeoutError, ConnectingCancelledError, CancelledError)


def explain(error: BaseException) -> str:
    """Return why a connection could not be made or used, or has ended."""
    if isinstance(error, _SILENT):
        return "nothing answers at its address"
    if isinstance(error, SSL.Error | VerificationError):
        return f"TLS: {tls_reason(error)}"
    text = str(error).rstrip(".") or type(error).__name__
    return f"it was closed ({text})" if isinstance(error, ConnectionClosed) else text
