"""Timer events: ask PHP when a timer is due."""

from twisted.internet.defer import Deferred

from phpgw.backend.event import Event
from phpgw.relay.own_events import OwnEvents


class TimerEvents:
    """Asks PHP when a timer is due."""

    def __init__(self, events: OwnEvents) -> None:
        self._events = events

    def trigger(self, name: str) -> Deferred[bool]:
        """Send PHP the event of a timer.

        :returns: fires when the script has ended, with whether it succeeded.
        """
        event = Event("timer", name.encode(), self._events.identity)
        return self._events.ask(f"timer {name}", event)
