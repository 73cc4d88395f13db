"""The metrics of histories in memory."""

from phpgw.history.memory import MemoryHistory
from phpgw.observable import Observable, observable_number


def observe_history(history: MemoryHistory) -> tuple[Observable, ...]:
    """Return the metrics of histories."""
    return (
        observable_number("history_groups", "Groups that have a history.", lambda: history.groups),
        observable_number("history_messages", "Messages in histories.", lambda: history.entries),
        observable_number(
            "history_bytes", "Memory that histories take (--max-history).", lambda: history.bytes
        ),
        Observable(
            name="history_dropped_messages",
            help="Messages that were dropped from histories because of --max-history.",
            observe=lambda: {(): history.dropped},
            kind="counter",
        ),
    )
