"""A viewer's subscription: what it wants of the feed."""

import json
from collections.abc import Callable, Collection

import attrs

from phpgw.histogram import OUTCOMES
from phpgw.metrics import EVENT_TYPES
from phpgw.relay.event_report import EventReport

_FIELDS = ("client_id", "user", "group", "type", "outcome")
_CHOICES = {"type": EVENT_TYPES, "outcome": OUTCOMES}

# Returns the groups of a client by its id; none if it is not connected.
GroupsOf = Callable[[str], Collection[str]]


class InvalidSubscription(Exception):
    """A viewer's message is no subscription. The text says what is wrong."""


@attrs.frozen
class EventFilter:
    """The events that a viewer wants: those for which all is as given; ``None`` for any."""

    client_id: str | None = None
    user: str | None = None
    group: str | None = None
    type: str | None = None
    outcome: str | None = None

    def matches(self, report: EventReport, groups_of: GroupsOf) -> bool:
        """Return whether an event is wanted."""
        event = report.event
        identity = event.identity
        return (
            self.type in (None, event.type)
            and self.outcome in (None, report.outcome)
            and self.client_id in (None, identity.client_id)
            and self.user in (None, identity.user)
            and (self.group is None or self.group in groups_of(identity.client_id))
        )


@attrs.frozen
class Subscription:
    """The wishes of a viewer.

    :ivar stats: whether it gets the metrics, each second.
    :ivar events: the events that it gets; ``None`` for none.
    """

    stats: bool = False
    events: EventFilter | None = None


def parse_subscription(message: bytes) -> Subscription:
    """Return the subscription in a message, such as ``{"stats": true, "events": {"user": "42"}}``.

    :raises InvalidSubscription: if it is none.
    """
    try:
        value = json.loads(message)
    except (ValueError, RecursionError):
        raise InvalidSubscription("expected JSON") from None
    if not isinstance(value, dict) or not value.keys() <= {"stats", "events"}:
        raise InvalidSubscription("expected an object with stats and events")
    stats, events = value.get("stats", False), value.get("events")
    if not isinstance(stats, bool):
        raise InvalidSubscription("stats: expected true or false")
    return Subscription(stats, None if events is None else _parse_filter(events))


def _parse_filter(value: object) -> EventFilter:
    if not isinstance(value, dict) or not value.keys() <= {*_FIELDS}:
        raise InvalidSubscription(f"events: expected an object with {', '.join(_FIELDS)}")
    for name, wanted in value.items():
        if wanted is not None and not isinstance(wanted, str):
            raise InvalidSubscription(f"{name}: expected a string")
        choices = _CHOICES.get(name)
        if choices is not None and wanted is not None and wanted not in choices:
            raise InvalidSubscription(f"{name}: expected one of {', '.join(choices)}")
    return EventFilter(**value)
