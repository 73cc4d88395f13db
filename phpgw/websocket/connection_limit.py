"""How many clients there are, in all and from one address; and how many there may be."""

from collections import Counter
from collections.abc import Hashable

from phpgw.web.addresses import network_of


class ConnectionLimitReached(Exception):
    """There is no room for one client more."""


class AddressLimitReached(ConnectionLimitReached):
    """There is no room for one more from its address."""


class ConnectionLimit:
    """Counts clients, in all and by address.

    An IPv6 address stands for its network of 64 bits. Clients of this machine have none that
    counts: a proxy on it makes all the world look like one of them.

    :param limit: how many there may be; 0 for any number.
    :param address_limit: how many there may be with one address; 0 for any number.
    """

    def __init__(self, limit: int = 0, address_limit: int = 0) -> None:
        self._limit = limit
        self._address_limit = address_limit
        self._count = 0
        self._places: Counter[Hashable] = Counter()

    @property
    def is_full(self) -> bool:
        """Whether there is room for nobody, wherever from."""
        return 0 < self._limit <= self._count

    def obstacle(self) -> str | None:
        """Return why no further client is admitted; ``None`` if the total limit allows one."""
        return "there is no room for more clients (--max-connections)" if self.is_full else None

    def check(self, host: str) -> None:
        """See whether one more may come.

        :param host: its IP address; an empty string if it has none.
        :raises ConnectionLimitReached: if not.
        """
        if self.is_full:
            raise ConnectionLimitReached
        if 0 < self._address_limit <= self._places[network_of(host)]:
            raise AddressLimitReached

    def add(self, host: str) -> None:
        """One has come."""
        self._count += 1
        place = network_of(host)
        if place is not None:
            self._places[place] += 1

    def remove(self, host: str) -> None:
        """One has left."""
        self._count -= 1
        place = network_of(host)
        if place is not None:
            self._places[place] -= 1
            if not self._places[place]:
                del self._places[place]
