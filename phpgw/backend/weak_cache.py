"""What is made only once of a thing that does not change."""

from collections.abc import Callable
from typing import Generic, TypeVar
from weakref import ref

K = TypeVar("K")
T = TypeVar("T")


class WeakCache(Generic[K, T]):
    """Makes something of a thing on first use, and keeps it for as long as there is that thing.

    By identity: values of handshakes take long to compare, and each goes with its client.
    """

    def __init__(self, make: Callable[[K], T]) -> None:
        self._make = make
        self._made: dict[int, tuple[ref[K], T]] = {}

    def __call__(self, thing: K) -> T:
        """What was made of this thing."""
        entry = self._made.get(id(thing))
        if entry is None:
            key = id(thing)
            entry = ref(thing, lambda _: self._made.pop(key)), self._make(thing)
            self._made[key] = entry
        return entry[1]
