"""Client ids (``client_id``): the peer's address, or a random id."""

from collections.abc import Callable
from itertools import count
from secrets import token_hex

from twisted.internet.interfaces import IAddress

from phpgw.web.addresses import peer_name

# 128 random bits. A random UUID has 122.
_RANDOM_BYTES = 16


def peer_ids() -> Callable[[IAddress], str]:
    """Return a function that makes ids from peer addresses.

    A peer on a UNIX socket has no address. It gets a number.
    """
    numbers = count(1)
    return lambda peer: peer_name(peer) or f"unix:{next(numbers)}"


def random_id(peer: IAddress) -> str:
    """Return an id that cannot be guessed, and is never used again."""
    return token_hex(_RANDOM_BYTES)
