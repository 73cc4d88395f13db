"""Connection limits: the number of clients, in total and per address."""

from collections import Counter
from collections.abc import Hashable

from phpgw.web.addresses import network_of


class ConnectionLimitReached(Exception):
    """The total number of clients is at its limit."""


class AddressLimitReached(ConnectionLimitReached):
    """The number of clients from one address is at its limit."""


class ConnectionLimit:
    """A limit on the number of clients, in total and per address.

    All IPv6 addresses of a /64 network count as one address. Clients from this machine have no
    limit per address: if a proxy runs here, all clients can have the address of this machine.

    :ivar limit: the maximum number of clients; 0 for no limit.
    :param address_limit: the maximum number of clients per address; 0 for no limit.
    """

    def __init__(self, limit: int = 0, address_limit: int = 0) -> None:
        self.limit = limit
        self._address_limit = address_limit
        self._count = 0
        self._networks: Counter[Hashable] = Counter()

    @property
    def is_full(self) -> bool:
        """Return whether the total limit is reached."""
        return 0 < self.limit <= self._count

    def obstacle(self) -> str | None:
        """Return why no further client is admitted; ``None`` if the total limit allows one."""
        return "there is no room for more clients (--max-connections)" if self.is_full else None

    def check(self, host: str) -> None:
        """Check whether another client is within the limits.

        :param host: the IP address of the client; empty if it has none (a UNIX socket).
        :raises ConnectionLimitReached: if the total limit is reached.
        :raises AddressLimitReached: if the limit of the address is reached.
        """
        if self.is_full:
            raise ConnectionLimitReached
        if 0 < self._address_limit <= self._networks[network_of(host)]:
            raise AddressLimitReached

    def add(self, host: str) -> None:
        """Count a new client."""
        self._count += 1
        network = network_of(host)
        if network is not None:
            self._networks[network] += 1

    def remove(self, host: str) -> None:
        """Stop counting a client that was added."""
        self._count -= 1
        network = network_of(host)
        if network is not None:
            self._networks[network] -= 1
            if not self._networks[network]:
                del self._networks[network]
