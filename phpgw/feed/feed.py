"""The feed: sends viewers the events that they want, and the metrics each second.

Without viewers, nothing is observed and no timer runs. What is sent is encoded once for all.
"""

import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from phpgw.feed.event_record import event_record
from phpgw.feed.rates import RateMeter
from phpgw.feed.subscription import GroupsOf, Subscription
from phpgw.log_limit import line_limit
from phpgw.relay.event_report import EventObservers, EventReport
from phpgw.snapshot import Snapshot

_STATS_INTERVAL = 1.0
# Seconds for which events are gathered, so that many go in one write.
_GATHER_SECONDS = 0.1
# How many events are sent in this time, and while the gateway is busy; more are not encoded, but
# counted. So the feed takes some hundredths of what the messages take.
_MAX_EVENTS, _MAX_WHILE_BUSY = 100, 20
# With so many events in this time, it is busy.
_BUSY = 200
# Bytes that a viewer may have left unread before it loses what comes.
_MAX_UNREAD = 256 * 1024
_GOING_AWAY = 1001

SnapshotSource = Callable[[], Snapshot | Deferred[Snapshot]]

_encode = json.JSONEncoder(separators=(",", ":")).encode


class Viewer(Protocol):
    """The connection of a viewer."""

    @property
    def unread(self) -> int:
        """Return how many bytes wait to be sent to it."""

    def send(self, messages: Iterable[bytes]) -> None:
        """Send messages, in one write."""

    def send_events(self, events: Sequence[bytes], lost: int) -> None:
        """Send events, and how many were lost, in one write."""

    def close(self, code: int, reason: str) -> None:
        """Close the connection with this code and reason."""


class _Subscriber:
    """A viewer and its subscription, with the events that it has yet to get.

    :ivar lost: how many events it has missed, and has not been told of.
    """

    def __init__(self, viewer: Viewer, subscription: Subscription) -> None:
        self.viewer = viewer
        self.subscription = subscription
        self.pending: list[bytes] = []
        self._pending_size = 0
        self.lost = 0

    def add(self, message: bytes | None) -> None:
        """Add an event, which is lost if it is ``None``, or if too many bytes are pending."""
        if message is None or self._pending_size > _MAX_UNREAD:
            self.lost += 1
        else:
            self.pending.append(message)
            self._pending_size += len(message)

    def flush(self) -> None:
        """Send the events, and how many were lost; a viewer that does not read loses them."""
        if self.viewer.unread > _MAX_UNREAD:
            self.lost += len(self.pending)
        elif self.pending or self.lost:
            self.viewer.send_events(self.pending, self.lost)
            self.lost = 0
        self.pending, self._pending_size = [], 0


class GatewayFeed(Protocol):
    """The feed of a whole gateway, for its viewers."""

    @property
    def is_stopped(self) -> bool:
        """Return whether nobody can watch any longer."""

    def subscribe(self, viewer: Viewer, subscription: Subscription) -> None:
        """Set what a viewer gets from now on; it may have got something else before."""

    def remove(self, viewer: Viewer) -> None:
        """Forget a viewer; it need not have subscribed to anything."""


class Feed(Service):
    """The feed of a process; a :class:`GatewayFeed` if there is no other one.

    :param reactor: delays calls.
    :param take_snapshot: returns the metrics of the gateway.
    :param groups_of: returns the groups of a client.
    :param has_bodies: whether viewers get messages and replies, or their sizes alone.
    """

    log = Logger(observer=line_limit)

    def __init__(
        self,
        reactor: Any,
        observers: EventObservers,
        take_snapshot: SnapshotSource,
        groups_of: GroupsOf,
        has_bodies: bool,
    ) -> None:
        self._reactor = reactor
        self._observers = observers
        self._groups_of = groups_of
        self._has_bodies = has_bodies
        self._take_snapshot = take_snapshot
        self._rates = RateMeter(reactor.seconds)
        self._subscribers: dict[Viewer, _Subscriber] = {}
        self.is_stopped = False
        # Since the last flush: how many events were wanted, and how many more can be sent.
        self._wanted = 0
        self._left = _MAX_EVENTS
        self._flush_call: IDelayedCall | None = None
        self._ticking: LoopingCall | None = None

    def stopService(self) -> None:
        """Close the connections of all viewers."""
        super().stopService()
        self.is_stopped = True
        for viewer in [*self._subscribers]:
            viewer.close(_GOING_AWAY, "the gateway stops")

    def subscribe(self, viewer: Viewer, subscription: Subscription) -> None:
        """See :meth:`GatewayFeed.subscribe`."""
        last = None if self._ticking is None else self._rates.last()
        self._subscribers[viewer] = _Subscriber(viewer, subscription)
        # If nobody has wanted them so far, it sends the metrics.
        self._adapt()
        if subscription.stats and last is not None and viewer.unread <= _MAX_UNREAD:
            viewer.send([feed_message(stats=last)])

    def remove(self, viewer: Viewer) -> None:
        """See :meth:`GatewayFeed.remove`."""
        if self._subscribers.pop(viewer, None) is not None:
            self._adapt()

    def pass_on(self, viewers: Iterable[Viewer], events: Sequence[bytes], lost: int) -> None:
        """Give viewers the events of another process, within the limits of all events.

        :param lost: how many that process has not sent.
        """
        found = [self._subscribers[viewer] for viewer in viewers]
        if not found:
            return
        for event in events:
            passed = event if self._left else None
            self._left -= passed is not None
            for each in found:
                each.add(passed)
        for each in found:
            each.lost += lost
        self._gather(len(events) + lost)

    def flush(self) -> None:
        """Send what was gathered."""
        if self._flush_call is not None:
            self._flush_call.cancel()
            self._flush()

    def _adapt(self) -> None:
        """Observe events, and tick, if anybody wants it; and else do not."""
        wanted = [each.subscription for each in self._subscribers.values()]
        self._observers.remove(self._observe)
        if any(each.events is not None for each in wanted):
            self._observers.add(self._observe)
        if any(each.stats for each in wanted):
            if self._ticking is None:
                # Not the one before, which may still wait for the metrics.
                self._ticking = LoopingCall(self._tick)
                self._ticking.clock = self._reactor
                self._ticking.start(_STATS_INTERVAL)
        elif self._ticking is not None:
            self._ticking.stop()
            self._ticking = None
        if not wanted and self._flush_call is not None:
            self._flush_call.cancel()
            self._flush_call = None
            self._wanted, self._left = 0, _MAX_EVENTS

    def _tick(self) -> Deferred[None] | None:
        snapshot = self._take_snapshot()
        if isinstance(snapshot, Deferred):
            return snapshot.addCallbacks(self._send_stats, self._log_failure)
        self._send_stats(snapshot)
        return None

    def _log_failure(self, failure: Failure) -> None:
        self.log.warn("There are no metrics: {reason}", reason=failure.getErrorMessage())

    def _send_stats(self, snapshot: Snapshot) -> None:
        self._rates.measure(snapshot)
        message = feed_message(stats=self._rates.last())
        for each in [*self._subscribers.values()]:
            if each.subscription.stats and each.viewer.unread <= _MAX_UNREAD:
                each.viewer.send([message])

    def _observe(self, report: EventReport) -> None:
        encoded: bytes | None = None
        is_wanted = False
        for each in self._subscribers.values():
            wanted = each.subscription.events
            if wanted is None or not wanted.matches(report, self._groups_of):
                continue
            is_wanted = True
            if encoded is None and self._left:
                self._left -= 1
                encoded = feed_message(event=event_record(report, self._has_bodies))
            each.add(encoded)
        if is_wanted:
            self._gather(1)

    def _gather(self, wanted: int) -> None:
        """Count events that were wanted, and send them soon, with what comes until then."""
        self._wanted += wanted
        if self._flush_call is None:
            self._flush_call = self._reactor.callLater(_GATHER_SECONDS, self._flush)

    def _flush(self) -> None:
        self._flush_call = None
        self._left = _MAX_EVENTS if self._wanted < _BUSY else _MAX_WHILE_BUSY
        self._wanted = 0
        for each in [*self._subscribers.values()]:
            each.flush()


def feed_message(**content: object) -> bytes:
    """Return a message of the feed."""
    return _encode(content).encode()
