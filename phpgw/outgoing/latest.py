"""Finds the key of a message, of which only the newest value is of interest: a JSON pointer."""

import json
from collections.abc import Callable
from typing import Any

KeyFinder = Callable[[bytes], str | None]
"""Returns the key of a message; ``None`` if it has none."""

# Larger ones take more than a few milliseconds to read. They count as messages without a key.
_MAX_SIZE = 65_536


def make_key_finder(pointer: str) -> KeyFinder:
    """Return a function that finds the key of messages.

    :param pointer: where the key is in a message (RFC 6901), such as ``/data/symbol``.
    """
    steps = [
        step.replace("~1", "/").replace("~0", "~") for step in pointer.removeprefix("/").split("/")
    ]

    def find(message: bytes) -> str | None:
        if len(message) > _MAX_SIZE:
            return None
        try:
            value: Any = json.loads(message)
            for step in steps:
                value = value[int(step) if isinstance(value, list) else step]
        except (ValueError, LookupError, TypeError, RecursionError):
            # Not JSON, or not one that has the key.
            return None
        if isinstance(value, str | int | float):
            return f"{type(value).__name__} {value}"
        return None

    return find
