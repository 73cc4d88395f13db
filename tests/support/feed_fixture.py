"""A feed, what it observes, and the last failures: what the API needs of them."""

from collections.abc import Callable
from typing import Any

from phpgw.feed.feed import Feed
from phpgw.feed.subscription import GroupsOf
from phpgw.feed.viewer import MAX_TICKETS, TICKET_SECONDS, ViewerFactory
from phpgw.metrics import Metrics
from phpgw.relay.event_report import EventObservers
from phpgw.relay.failures import FailureLog
from phpgw.snapshot import Snapshot
from phpgw.web.expiring_tokens import ExpiringTokens


class FeedFixture:
    """A feed with its parts.

    :param groups_of: returns the groups of a client.
    :param permits: returns whether a permission still holds.
    """

    def __init__(
        self,
        clock: Any,
        metrics: Metrics | None = None,
        groups_of: GroupsOf = lambda client_id: (),
        *,
        has_bodies: bool = True,
        permits: Callable[[str], bool] = lambda permission: True,
    ) -> None:
        self.metrics = metrics or Metrics()
        self.failures = FailureLog(clock.seconds)
        self.observers = EventObservers(clock.seconds, self.metrics, clock.seconds)
        self.feed = Feed(
            clock,
            self.observers,
            lambda: Snapshot.of(self.metrics),
            groups_of,
            has_bodies=has_bodies,
        )
        tickets = ExpiringTokens(TICKET_SECONDS, MAX_TICKETS, clock.seconds)
        self.viewers = ViewerFactory(clock, self.feed, tickets, permits)
