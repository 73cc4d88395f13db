"""A cache of values derived from objects, each dropped with its object."""

from collections.abc import Callable
from typing import Generic, TypeVar
from weakref import ref

K = TypeVar("K")
T = TypeVar("T")


class WeakCache(Generic[K, T]):
    """A cache of values derived from immutable objects, each dropped with its object.

    Keys are compared by identity: comparing handshakes by value takes long.

    :param make: derives a value from an object.
    """

    def __init__(self, make: Callable[[K], T]) -> None:
        self._make = make
        self._made: dict[int, tuple[ref[K], T]] = {}

    def __call__(self, key: K) -> T:
        """Return the value for an object, which is made on first use."""
        entry = self._made.get(id(key))
        if entry is None:
            number = id(key)
            entry = ref(key, lambda _: self._made.pop(number)), self._make(key)
            self._made[number] = entry
        return entry[1]
