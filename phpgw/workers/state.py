"""The metrics of the workers themselves, which their parent knows."""

from collections.abc import Sequence

from phpgw.observable import Observable, observable_number
from phpgw.workers.slot import WorkerSlot


def observe_workers(slots: Sequence[WorkerSlot]) -> tuple[Observable, ...]:
    """Return the metrics of workers."""
    return (
        observable_number(
            "workers", "Workers that there should be (--workers).", lambda: len(slots)
        ),
        observable_number(
            "workers_serving",
            "Workers that serve clients at the moment.",
            lambda: sum(slot.current is not None for slot in slots),
        ),
        Observable(
            name="worker_restarts",
            help="Times that a worker died or hung, and was replaced.",
            kind="counter",
            observe=lambda: {(): sum(slot.restarts for slot in slots)},
        ),
    )
