"""HTTP requests to the gateway, over TCP, TLS or a UNIX socket. No reactor is needed."""

import re
import socket
import ssl
from collections.abc import Callable, Mapping
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import NamedTuple

import attrs

from phpgw.cli.api_address import ApiAddress, TcpAddress, UnixAddress
from phpgw.cli.errors import GatewayUnreachable, InvalidUsage

# In seconds: for the connection, and then for each part of the response. A push to very many
# clients takes a while.
_CONNECT_TIMEOUT = 5.0
_TIMEOUT = 60.0
# A page of clients has some megabytes at most.
_MAX_RESPONSE_SIZE = 64 * 1024**2
_CERTIFICATE = re.compile(
    "-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----", re.IGNORECASE
)
_ADVICE = (
    "start it with phpgw serve, or say where it is: --config FILE, as for phpgw serve, or --url URL"
)


@attrs.frozen
class ApiRequest:
    """A request to the API.

    :ivar target: path and query, percent-encoded.
    """

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes = b""


class ApiResponse(NamedTuple):
    """A response of the API."""

    status: int
    body: bytes


# Sends a request to an address, and returns the response.
Exchange = Callable[[ApiAddress, ApiRequest], ApiResponse]


class UnixConnection(HTTPConnection):
    """An HTTP connection over a UNIX socket."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=_CONNECT_TIMEOUT)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def exchange(address: ApiAddress, request: ApiRequest) -> ApiResponse:
    """Send a request, and return the response.

    :raises GatewayUnreachable: if there is no response.
    :raises InvalidUsage: if the file with the gateway's certificate cannot be read.
    """
    connection = make_connection(address)
    try:
        connection.connect()
        connection.sock.settimeout(_TIMEOUT)
        headers = {"Connection": "close", **request.headers}
        connection.request(request.method, request.target, request.body or None, headers)
        response = connection.getresponse()
        body = response.read(_MAX_RESPONSE_SIZE + 1)
    except (OSError, HTTPException) as error:
        raise explain_unreachable(address, error) from error
    finally:
        connection.close()
    if len(body) > _MAX_RESPONSE_SIZE:
        raise GatewayUnreachable(f"no gateway at {address}: the response has no end; {_ADVICE}")
    return ApiResponse(response.status, body)


def make_connection(address: ApiAddress) -> HTTPConnection:
    """Return a connection to an address, not yet connected.

    :raises InvalidUsage: if the file with the gateway's certificate cannot be read.
    """
    if isinstance(address, UnixAddress):
        return UnixConnection(address.path)
    if not address.uses_tls:
        return HTTPConnection(address.host, address.port, timeout=_CONNECT_TIMEOUT)
    return HTTPSConnection(
        address.host, address.port, timeout=_CONNECT_TIMEOUT, context=_make_context(address)
    )


def _make_context(address: TcpAddress) -> ssl.SSLContext:
    """Return what verifies the gateway's certificate.

    On the gateway's own machine the certificate itself is known. Its name is that of the site, and
    not that of the machine.
    """
    if address.certificate is None:
        return ssl.create_default_context()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    # The certificate alone is enough, whoever issued it.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    try:
        found = _CERTIFICATE.search(address.certificate.read_text(errors="replace"))
        if found is None:
            raise InvalidUsage(f"{address.certificate}: expected a certificate in PEM")
        # Not those behind it: they are of the authority, which issues certificates to anybody.
        context.load_verify_locations(cadata=found[0])
    except ssl.SSLError as error:
        raise InvalidUsage(f"{address.certificate}: {error.reason}") from None
    except OSError as error:
        raise InvalidUsage(
            f"{address.certificate}: cannot read the gateway's certificate ({error.strerror}); "
            "run this as a user who can, or name the address with --url https://HOST:PORT"
        ) from None
    return context


def explain_unreachable(address: ApiAddress, error: OSError | HTTPException) -> GatewayUnreachable:
    """Return the error that there is no gateway at an address, for an error of the connection."""
    if isinstance(error, HTTPException):
        return GatewayUnreachable(f"what is at {address} does not speak HTTP; {_ADVICE}")
    if isinstance(error, ssl.SSLCertVerificationError):
        return GatewayUnreachable(
            f"the certificate of {address} is not valid ({error.verify_message}); if it was "
            "renewed, reload the gateway"
        )
    if isinstance(error, ssl.SSLError):
        reason = (error.reason or "no TLS").replace("_", " ").lower()
        return GatewayUnreachable(f"no TLS connection to {address} ({reason}); {_ADVICE}")
    if isinstance(error, PermissionError):
        return GatewayUnreachable(
            f"no permission to open {address}: run this as root, or as a user who may open it"
        )
    if isinstance(error, TimeoutError):
        return GatewayUnreachable(f"no response from {address} in time; {_ADVICE}")
    return GatewayUnreachable(f"no gateway at {address} ({error.strerror or error}); {_ADVICE}")
