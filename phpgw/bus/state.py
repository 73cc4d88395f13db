"""The metrics of the bus."""

from phpgw.bus.redis_bus import RedisBus
from phpgw.observable import Observable, observable_number


def observe_bus(bus: RedisBus) -> tuple[Observable, ...]:
    """Return the metrics of a bus."""
    return (
        Observable(
            name="bus_connected",
            help="Whether the bus is connected, and takes data (1), or not (0).",
            observe=lambda: {(): int(not bus.problem)},
            merge="min",
        ),
        Observable(
            name="bus_disconnects",
            help="Times that the connection to the bus was lost.",
            observe=lambda: {(): bus.link.times_lost},
            kind="counter",
        ),
        observable_number(
            "bus_requests_waiting",
            "Requests to the bus that wait for a reply.",
            lambda: 0 if bus.link.connection is None else len(bus.link.connection),
        ),
        observable_number(
            "bus_channels",
            "Channels of the bus that are subscribed to: groups and users with a client.",
            lambda: bus.channels,
        ),
    )
