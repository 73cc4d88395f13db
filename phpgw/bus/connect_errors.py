"""Messages for connections to the engine that fail or end."""

from OpenSSL import SSL
from service_identity import VerificationError
from twisted.internet.defer import CancelledError
from twisted.internet.defer import TimeoutError as DeferredTimeoutError
from twisted.internet.error import ConnectingCancelledError, ConnectionClosed, DNSLookupError
from twisted.internet.error import TimeoutError as ConnectTimeoutError

from phpgw.bus.interface import BusUnavailable
from phpgw.transport.tls_errors import tls_reason

_SILENT = (ConnectTimeoutError, DeferredTimeoutError, ConnectingCancelledError, CancelledError)


def explain(error: BaseException) -> str:
    """Return why a connection could not be made or used, or has ended.

    There is no name of a host or a file in it: strangers may read it at ``/readyz``.
    """
    if isinstance(error, BusUnavailable):
        return str(error)
    if isinstance(error, _SILENT):
        return "nothing answers at its address"
    if isinstance(error, DNSLookupError):
        return "its host name has no address"
    if isinstance(error, SSL.Error | VerificationError):
        return f"TLS: {tls_reason(error)}"
    text = str(error).rstrip(".") or type(error).__name__
    return f"it was closed ({text})" if isinstance(error, ConnectionClosed) else text
