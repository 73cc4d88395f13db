"""Messages for connections to the engine that fail or end."""

from phpgw.bus.interface import BusUnavailable
from phpgw.transport import connect_errors


def explain(error: BaseException) -> str:
    """Return why a connection could not be made or used, or has ended."""
    return str(error) if isinstance(error, BusUnavailable) else connect_errors.explain(error)
