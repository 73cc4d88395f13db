"""The last events of each client, in memory."""

from collections import deque
from sys import getsizeof
from typing import NamedTuple

from phpgw.feed.event_record import EventRecord, event_record
from phpgw.relay.event_report import EventReport

# Bytes that all recorded events may take.
_MAX_SIZE = 64 * 1024**2
# What an event takes beside its texts, about.
_RECORD_SIZE = 1500

_TEXTS = ("message", "reply", "problem")


class _Recorded(NamedTuple):
    """An event, and how many bytes it takes, about."""

    record: EventRecord
    size: int


class EventRecorder:
    """Keeps the last events of each client; an observer of events.

    A client takes no memory before its first event. If all take too much, the events of the clients
    that have been silent for longest are dropped.

    :param count: how many events of a client are kept.
    :param max_size: bytes that all may take, about.
    """

    def __init__(self, count: int, max_size: int = _MAX_SIZE) -> None:
        self._count = count
        self._max_size = max_size
        self._size = 0
        # By client id; the one with the latest event is last.
        self._events: dict[str, deque[_Recorded]] = {}

    def __call__(self, report: EventReport) -> None:
        """Record an event."""
        client_id = report.event.identity.client_id
        if not client_id:
            return
        events = self._events.pop(client_id, None)
        if events is None:
            events = deque()
        elif len(events) == self._count:
            self._size -= events.popleft().size
        record = event_record(report, has_bodies=True)
        # Not their bytes: one wide character lets each character of a text take four.
        texts = sum(getsizeof(record[name]) for name in _TEXTS)
        recorded = _Recorded(record, _RECORD_SIZE + texts)
        events.append(recorded)
        self._size += recorded.size
        self._events[client_id] = events
        while self._size > self._max_size:
            silent = self._events.pop(next(iter(self._events)))
            self._size -= sum(each.size for each in silent)

    def records(self, client_id: str, since: float) -> list[EventRecord]:
        """Return the events of a client, newest first.

        :param since: when the client connected, in seconds since the epoch. Another one may have
            had the same id before.
        """
        events = self._events.get(client_id, ())
        return [each.record for each in reversed(events) if each.record["at"] >= since]
