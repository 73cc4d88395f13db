"""Who gets how many of the file descriptors that the process may have."""

import resource
import sys

import attrs
from twisted.logger import Logger

_log = Logger()

# Logs, listening sockets, the reactor's own, a PHP-FPM's pipes.
_OWN = 32
# A request under way to PHP, and a connection that is kept for the next.
_PER_PHP_REQUEST = 2
# The socket, and the file that twisted.web puts a large body into.
_PER_HTTP_CONNECTION = 2
# How much of all may go to HTTP connections.
_HTTP_SHARE = 1 / 4


@attrs.frozen
class FdBudget:
    """How many connections there may be.

    :ivar clients: WebSockets; 0 wants any number.
    :ivar http: others, on each of the sites.
    """

    clients: int
    http: int


def allocate_descriptors(wanted: FdBudget, php_requests: int, sites: int) -> FdBudget:
    """What there can be of what is wanted.

    :param php_requests: how many are under way at once.
    :param sites: how many there are that speak HTTP.
    """
    descriptors = _descriptors()
    per_connection = _PER_HTTP_CONNECTION * sites
    http = min(wanted.http, max(1, int(descriptors * _HTTP_SHARE) // per_connection))
    others = _OWN + _PER_PHP_REQUEST * php_requests + per_connection * http
    clients = max(1, descriptors - others)
    if clients < wanted.clients:
        _log.warn(
            "There can be no more than {clients} clients, since there are {descriptors} file "
            "descriptors (RLIMIT_NOFILE)",
            clients=clients,
            descriptors=descriptors,
        )
    return FdBudget(min(wanted.clients or clients, clients), http)


def _descriptors() -> int:
    """How many there are once :mod:`phpgw.process.rlimit` has raised the limit."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return sys.maxsize if hard == resource.RLIM_INFINITY else hard
