"""The log line about an HTTP request that is refused before a resource handles it."""

from twisted.internet.interfaces import IAddress
from twisted.logger import Logger

from phpgw.log_limit import line_limit
from phpgw.web.addresses import peer_name

_FORMAT = "Refused a request from {peer}: {status}, {reason}"
_log = Logger(observer=line_limit)


def log_refusal(peer: IAddress, status: int, reason: str, path: str | None = None) -> None:
    """Log that a request is refused.

    :param status: the HTTP status of the response.
    :param path: the path, without the query, if that matters.
    """
    # Anybody can cause it.
    if not line_limit.count_if_over(_log.namespace, _FORMAT):
        _log.info(_FORMAT, peer=peer_name(peer), status=status, reason=reason, path=path)
