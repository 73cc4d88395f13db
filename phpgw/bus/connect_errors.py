"""Messages for connections to the engine that fail or end."""

from twisted.internet.error import DNSLookupError

from phpgw.bus.interface import BusUnavailable
from phpgw.transport import connect_errors
from phpgw.transport.tls_endpoint import UnusableName, UnusableTlsFile


def explain(error: BaseException) -> str:
    """Return why a connection could not be made or used, or has ended.

    There is no name of a host or a file in it: strangers may read it at ``/readyz``.
    """
    if isinstance(error, BusUnavailable):
        return str(error)
    if isinstance(error, DNSLookupError):
        return "its host name has no address"
    if isinstance(error, UnusableName):
        return "no certificate can be for its host name"
    if isinstance(error, UnusableTlsFile):
        return f"--bus-ca-file or --bus-cert-file cannot be used ({error.reason})"
    return connect_errors.explain(error)
