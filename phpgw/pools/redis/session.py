"""One session of PHP: whether its connection to the server can be cleaned."""

from phpgw.pools.redis.cleaning import RedisCleaning
from phpgw.pools.redis.requests import RequestObserver


class RedisSession:
    """Observes what passes between PHP and the server; see :class:`.SpliceObserver`."""

    def __init__(self) -> None:
        self._requests = RequestObserver()
        self._is_answered = False

    def php_sent(self, data: bytes) -> None:
        """Note what PHP has sent."""
        self._is_answered = False
        self._requests.feed(data)

    def server_sent(self, data: bytes) -> None:
        """Note that the server has sent something."""
        self._is_answered = True

    def can_be_cleaned(self, cleaning: RedisCleaning) -> bool:
        """Return whether a cleaning may succeed at once, and does no harm if it does not.

        A command that waits would go on as if PHP was there. What is sent behind an incomplete
        request would be a part of it.
        """
        requests = self._requests
        return (
            self._is_answered
            and requests.is_between_requests
            and not requests.has_blocked
            and not requests.was_uncleanable
            and (cleaning.covers_all_users or not requests.has_logged_in)
        )
