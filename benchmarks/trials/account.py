"""The account: what was told of each push, beside what the browsers got."""

from collections import Counter
from collections.abc import Iterator

import attrs


@attrs.define
class Push:
    """A message that was pushed.

    :ivar text: its text; no other one has the same.
    :ivar delivered: the number of clients that was told.
    :ivar is_unknown: whether it was told that there may be more.
    :ivar seconds: how long the response took.
    """

    text: str
    delivered: int
    is_unknown: bool
    seconds: float


class Account:
    """The pushes of a trial.

    :ivar pushes: those that were told of, in this order.
    :ivar broken: what else has gone wrong, in words.
    """

    def __init__(self) -> None:
        self.pushes: list[Push] = []
        self.broken: list[str] = []
        self._received: dict[str, Counter[str]] = {}
        self._of_clients: dict[str, list[str]] = {}

    def receive(self, client_id: str, text: str) -> None:
        """Enter a message that a browser got."""
        self._received.setdefault(text, Counter())[client_id] += 1
        self._of_clients.setdefault(client_id, []).append(text)

    @property
    def delivered(self) -> int:
        """Return how many were told to be delivered, to one client at least."""
        return sum(not push.is_unknown and push.delivered > 0 for push in self.pushes)

    @property
    def refused(self) -> int:
        """Return how many were told to have reached nobody."""
        return sum(not push.is_unknown and not push.delivered for push in self.pushes)

    @property
    def unknown(self) -> int:
        """Return how many may have reached more clients than was told."""
        return sum(push.is_unknown for push in self.pushes)

    @property
    def longest(self) -> float:
        """Return how many seconds the slowest response took."""
        return max((push.seconds for push in self.pushes), default=0)

    def errors(self) -> Iterator[str]:
        """Yield what is wrong, in words."""
        yield from self.broken
        for push in self.pushes:
            found = self._received.get(push.text, Counter())
            got = len(found)
            if max(found.values(), default=0) > 1:
                yield f"{push.text}: came twice to one client"
            if got < push.delivered or (got > push.delivered and not push.is_unknown):
                doubt = " or more" if push.is_unknown else ""
                yield f"{push.text}: told {push.delivered}{doubt}, and {got} have got it"
        for client_id, texts in self._of_clients.items():
            last: dict[str, int] = {}
            for text in texts:
                sender, number = text.split()[:2]
                if int(number) < last.get(sender, -1):
                    yield f"{text}: came to {client_id} after number {last[sender]}"
                last[sender] = int(number)
