"""What a backend prepares once for each client."""

from collections.abc import Callable
from typing import Generic, TypeVar
from weakref import ref

from phpgw.backend import Handshake

T = TypeVar("T")


class PerHandshake(Generic[T]):
    """Makes something of a handshake on first use, and keeps it for as long as there is that one.

    By identity: a handshake's value takes long to compare, and each goes with its client.
    """

    def __init__(self, make: Callable[[Handshake], T]) -> None:
        self._make = make
        self._made: dict[int, tuple[ref[Handshake], T]] = {}

    def __call__(self, handshake: Handshake) -> T:
        """What was made of this handshake."""
        entry = self._made.get(id(handshake))
        if entry is None:
            key = id(handshake)
            entry = ref(handshake, lambda _: self._made.pop(key)), self._make(handshake)
            self._made[key] = entry
        return entry[1]
