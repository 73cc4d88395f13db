"""A feed, what it observes, and the last failures: what the API needs of them."""

from typing import Any

from phpgw.feed.feed import Feed
from phpgw.feed.subscription import GroupsOf
from phpgw.feed.viewer import ViewerFactory
from phpgw.metrics import Metrics
from phpgw.relay.event_report import EventObservers
from phpgw.relay.failures import FailureLog
from phpgw.snapshot import Snapshot


class FeedFixture:
    """A feed with its parts.

    :param groups_of: returns the groups of a client.
    """

    def __init__(
        self,
        clock: Any,
        metrics: Metrics | None = None,
        groups_of: GroupsOf = lambda client_id: (),
        *,
        has_bodies: bool = True,
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
        self.viewers = ViewerFactory(clock, self.feed)
