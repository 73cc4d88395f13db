"""A viewer of the feed that has no connection."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

from phpgw.feed.feed import feed_message


class FakeViewer:
    """A viewer.

    :ivar writes: the messages of each write.
    :ivar unread: how much of it has not been read.
    """

    def __init__(self) -> None:
        self.writes: list[list[bytes]] = []
        self.unread = 0
        self.closed: tuple[int, str] | None = None

    def send(self, messages: Iterable[bytes]) -> None:
        self.writes.append([*messages])

    def send_events(self, events: Sequence[bytes], lost: int) -> None:
        self.send([*events, feed_message(lost=lost)] if lost else events)

    def close(self, code: int, reason: str) -> None:
        self.closed = code, reason

    def take(self) -> list[dict[str, Any]]:
        """Return the messages since the last call."""
        messages = [json.loads(message) for write in self.writes for message in write]
        self.writes = []
        return messages
