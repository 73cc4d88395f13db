"""The ids by which PHP knows clients: their addresses, or random names."""

from collections.abc import Callable
from itertools import count
from secrets import token_hex

from twisted.internet.interfaces import IAddress

from phpgw.web.addresses import peer_name

# 128 random bits. A random UUID has 122.
_RANDOM_BYTES = 16


def peer_ids() -> Callable[[IAddress], str]:
    """Names clients by their addresses; those on a UNIX socket, which have none, by numbers."""
    numbers = count(1)
    return lambda peer: peer_name(peer) or f"unix:{next(numbers)}"


def random_id(peer: IAddress) -> str:
    """A name for a client that nobody can guess, and that never comes again."""
    return token_hex(_RANDOM_BYTES)
