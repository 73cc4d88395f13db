"""The accounts of a soak of several nodes: what became of each push, and of each client."""

from collections import Counter, defaultdict
from collections.abc import Iterator

import attrs

from tests.support.real.told import ToldEvent

# Seconds around a push in which a client that is lost may have lost its message, too.
_AROUND = 2.0
_MOST_COMPLAINTS = 20


@attrs.define
class Push:
    """A push.

    :ivar sent_at: when it was sent, in seconds since the soak began.
    :ivar ended_at: when there was a response, or none any more.
    :ivar delivered: what the response says; ``None`` if it is not known.
    :ivar outcome: ``delivered``, ``refused`` (nobody is there), ``unknown``, or ``no response``.
    """

    sent_at: float
    ended_at: float = 0.0
    delivered: int | None = None
    outcome: str = "no response"

    def respond(self, now: float, result: dict[str, object]) -> None:
        """Note the result of the command."""
        self.ended_at = now
        if result.get("unknown"):
            self.outcome = "unknown"
            return
        self.delivered = int(str(result["delivered"]))
        self.outcome = "delivered" if self.delivered else "refused"


@attrs.define
class Accounts:
    """Of all pushes, and all clients that got some.

    :ivar received: how often each client got each push, by their numbers.
    :ivar losses: when a client was disconnected.
    """

    pushes: list[Push] = attrs.field(factory=list)
    received: defaultdict[int, Counter[str]] = attrs.field(
        factory=lambda: defaultdict(Counter[str])
    )
    losses: list[float] = attrs.field(factory=list)

    def outcomes(self) -> Counter[str]:
        """Return how many pushes have ended in which way."""
        return Counter(push.outcome for push in self.pushes)

    def missed(self) -> int:
        """Return how many messages were delivered to clients that were lost at that moment."""
        return sum(
            push.delivered - self.received[number].total()
            for number, push in enumerate(self.pushes)
            if push.delivered is not None
        )

    def complaints(self) -> Iterator[str]:
        """Yield what should not have been: the first of many are enough."""
        found = 0
        for number, push in enumerate(self.pushes):
            for problem in self._problems(number, push):
                found += 1
                if found <= _MOST_COMPLAINTS:
                    yield f"push {number}, sent at {push.sent_at:.1f} s: {problem}"

    def _problems(self, number: int, push: Push) -> Iterator[str]:
        received = self.received[number]
        for client, times in received.items():
            if times > 1:
                yield f"{client} got it {times} times"
        if push.delivered is None or push.delivered == received.total():
            return
        is_excused = received.total() < push.delivered and any(
            push.sent_at - _AROUND <= loss <= push.ended_at + _AROUND for loss in self.losses
        )
        if not is_excused:
            yield f"delivered to {push.delivered}, and {received.total()} got it"


@attrs.frozen
class ToldAccounts:
    """The events that told PHP of clients.

    :ivar connected: how many it has admitted.
    :ivar missing: those of whose disconnect it was not told.
    :ivar repeated: how often it was told again, with the same event id.
    :ivar twice: those that it was told of more than once, with different ids.
    """

    connected: int
    missing: frozenset[str]
    repeated: int
    twice: frozenset[str]

    @classmethod
    def of(cls, connects: list[ToldEvent], disconnects: list[ToldEvent]) -> "ToldAccounts":
        """Return the accounts of these events."""
        admitted = {event.client_id for event in connects}
        ids: defaultdict[str, set[str]] = defaultdict(set)
        for event in disconnects:
            ids[event.client_id].add(event.event_id)
        return cls(
            connected=len(admitted),
            missing=frozenset(admitted - ids.keys()),
            repeated=len(disconnects) - sum(map(len, ids.values())),
            twice=frozenset(client for client, found in ids.items() if len(found) > 1),
        )

    def complaints(self) -> Iterator[str]:
        """Yield what should not have been."""
        if self.missing:
            yield f"PHP was not told of {len(self.missing)} disconnects: {min(self.missing)}, ..."
        if self.twice:
            yield f"PHP was told twice of {len(self.twice)} disconnects: {min(self.twice)}, ..."
