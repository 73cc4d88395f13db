"""The file descriptor budget: how many clients and HTTP connections RLIMIT_NOFILE allows."""

import resource
import sys

import attrs
from twisted.logger import Logger

_log = Logger()

# For logs, listening sockets, the reactor, the pipes of PHP-FPM.
_RESERVED = 32
# A running request to PHP, and an idle connection in the pool.
_PER_PHP_REQUEST = 2
# The socket, and a file for a large body from twisted.web.
_PER_HTTP_CONNECTION = 2
# The part of all descriptors that HTTP connections may use.
_MAX_HTTP_FRACTION = 1 / 4


@attrs.frozen
class FdBudget:
    """Limits on connections.

    :ivar clients: the maximum number of WebSockets; 0 asks for as many as possible.
    :ivar http: the maximum number of other HTTP connections, on each site.
    """

    clients: int
    http: int


def allocate_descriptors(wanted: FdBudget, php_requests: int, sites: int) -> FdBudget:
    """Return the limits that are wanted, lowered to what the descriptors allow.

    :param php_requests: the maximum number of concurrent requests to PHP.
    :param sites: the number of HTTP sites.
    """
    descriptors = _available_descriptors()
    per_connection = _PER_HTTP_CONNECTION * sites
    http = min(wanted.http, max(1, int(descriptors * _MAX_HTTP_FRACTION) // per_connection))
    not_for_clients = _RESERVED + _PER_PHP_REQUEST * php_requests + per_connection * http
    clients = max(1, descriptors - not_for_clients)
    if clients < wanted.clients:
        _log.warn(
            "There can be no more than {clients} clients, since there are {descriptors} file "
            "descriptors (RLIMIT_NOFILE)",
            clients=clients,
            descriptors=descriptors,
        )
    return FdBudget(min(wanted.clients or clients, clients), http)


def descriptors_needed(wanted: FdBudget, php_requests: int, sites: int) -> int:
    """Return how many descriptors the limits take that are wanted; see above."""
    http = _PER_HTTP_CONNECTION * sites * wanted.http
    return _RESERVED + _PER_PHP_REQUEST * php_requests + http + wanted.clients


def _available_descriptors() -> int:
    """Return the number of descriptors after :mod:`phpgw.process.rlimit` has raised the limit."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return sys.maxsize if hard == resource.RLIM_INFINITY else hard
