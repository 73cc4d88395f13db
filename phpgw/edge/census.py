"""How many clients there are, in all and from one address; and how many there may be."""

from collections import Counter
from collections.abc import Hashable
from functools import lru_cache
from ipaddress import IPv6Address, ip_address

# What a provider gives to one customer at least: RFC 6177, section 2.
_IPV6_NETWORK_BITS = 64


class TooMany(Exception):
    """There is no room for one client more."""


class TooManyHere(TooMany):
    """There is no room for one more from its address."""


class Census:
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

    def check(self, host: str) -> None:
        """See whether one more may come.

        :param host: its IP address; an empty string if it has none.
        :raises TooMany: if not.
        """
        if self.is_full:
            raise TooMany
        if 0 < self._address_limit <= self._places[network_of(host)]:
            raise TooManyHere

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


# Each is asked for three times, mostly soon.
@lru_cache(maxsize=1024)
def network_of(host: str) -> Hashable:
    """Return the network that an address is counted for; ``None`` for one of this machine."""
    try:
        address = ip_address(host)
    except ValueError:
        return host or None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    if address.is_loopback:
        return None
    if isinstance(address, IPv6Address):
        return int(address) >> (address.max_prefixlen - _IPV6_NETWORK_BITS)
    return str(address)
