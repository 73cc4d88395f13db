"""The feed of all workers: viewers at any of them see the events of each.

A worker tells the others what its viewers want, once for all viewers that want the same. The others
send it that as to a viewer of their own, and so within the same limits. It tells them how much it
has read. So nothing gathers anywhere for a worker that hangs.
"""

from collections.abc import Callable, Iterable, Sequence
from itertools import count

import attrs

from phpgw.feed.feed import Feed, Viewer, feed_message
from phpgw.feed.subscription import EventFilter, Subscription
from phpgw.process.messages import Message

# Bytes that an event takes on the way, in addition to its own.
_OVERHEAD = 32


@attrs.define(eq=False)
class _ViewingWorker:
    """Another worker whose viewers want events of this one.

    :ivar id: its id, which the parent has given it.
    :ivar unread: bytes of events that it has not read.
    :ivar viewers: those for whom it wants events, by the ids that it has given their wishes.
    """

    id: int
    unread: int = 0
    viewers: dict[int, "_DistantViewer"] = attrs.field(factory=dict)


class _DistantViewer:
    """The viewers at another worker who want the same; a :class:`phpgw.feed.feed.Viewer`.

    :param wish: the id of what they want.
    """

    def __init__(self, worker: _ViewingWorker, wish: int, tell: Callable[..., None]) -> None:
        self._worker = worker
        self._wish = wish
        self._tell = tell

    @property
    def unread(self) -> int:
        return self._worker.unread

    def send(self, messages: Iterable[bytes]) -> None:
        """Do nothing: each worker has the metrics of all."""

    def send_events(self, events: Sequence[bytes], lost: int) -> None:
        size = sum(map(len, events)) + _OVERHEAD * (len(events) + 1)
        self._worker.unread += size
        self._tell(
            "events",
            to=self._worker.id,
            wish=self._wish,
            events=[event.decode() for event in events],
            lost=lost,
            size=size,
        )

    def close(self, code: int, reason: str) -> None:
        """Do nothing: they see how this worker stops, to its last event."""


class SharedFeed:
    """The feed of all workers, for the viewers at this one; a ``GatewayFeed``.

    :param own: the feed of this worker.
    :param tell: sends the parent a message.
    """

    def __init__(self, own: Feed, tell: Callable[..., None]) -> None:
        self._own = own
        self._tell = tell
        self._viewers: dict[Viewer, Subscription] = {}
        # What the viewers want, with the ids by which the others know it.
        self._wishes: dict[EventFilter, int] = {}
        self._ids = count(1)
        self._viewing: dict[int, _ViewingWorker] = {}
        self._missing: list[int] = []

    @property
    def is_stopped(self) -> bool:
        """See ``GatewayFeed``."""
        return self._own.is_stopped

    def subscribe(self, viewer: Viewer, subscription: Subscription) -> None:
        """See ``GatewayFeed``."""
        is_new = viewer not in self._viewers
        self._viewers[viewer] = subscription
        self._own.subscribe(viewer, subscription)
        self._update_wishes()
        if is_new and self._missing:
            viewer.send([feed_message(missing=self._missing)])

    def remove(self, viewer: Viewer) -> None:
        """See ``GatewayFeed``."""
        self._own.remove(viewer)
        if self._viewers.pop(viewer, None) is not None:
            self._update_wishes()

    def finish(self) -> None:
        """Send what other workers have yet to get, at the end of this one."""
        self._own.flush()

    def hear_watched(self, message: Message) -> None:
        """Take note of what the viewers at another worker want; perhaps nothing any longer."""
        id_: int = message["by"]
        worker = self._viewing.setdefault(id_, _ViewingWorker(id_))
        wanted = {wish: EventFilter(**fields) for wish, fields in message["wanted"]}
        for wish in worker.viewers.keys() - wanted.keys():
            self._own.remove(worker.viewers.pop(wish))
        for wish in wanted.keys() - worker.viewers.keys():
            viewer = worker.viewers[wish] = _DistantViewer(worker, wish, self._tell)
            self._own.subscribe(viewer, Subscription(events=wanted[wish]))
        if not wanted:
            del self._viewing[id_]

    def hear_events(self, message: Message) -> None:
        """Give viewers the events of another worker."""
        self._tell("events_read", to=message["by"], size=message["size"])
        viewers = [
            viewer
            for viewer, subscription in self._viewers.items()
            if subscription.events is not None
            and self._wishes[subscription.events] == message["wish"]
        ]
        events = [event.encode() for event in message["events"]]
        self._own.pass_on(viewers, events, message["lost"])

    def hear_read(self, message: Message) -> None:
        """Take note of how much another worker has read."""
        worker = self._viewing.get(message["by"])
        if worker is not None:
            worker.unread -= message["size"]

    def hear_missing(self, message: Message) -> None:
        """Tell viewers of which workers no events come at the moment."""
        self._missing = message["workers"]
        for viewer in [*self._viewers]:
            viewer.send([feed_message(missing=self._missing)])

    def _update_wishes(self) -> None:
        wanted = {each.events for each in self._viewers.values()} - {None}
        if wanted == self._wishes.keys():
            return
        self._wishes = {
            each: self._wishes.get(each) or next(self._ids) for each in wanted if each is not None
        }
        self._tell(
            "watch", wanted=[(wish, attrs.asdict(each)) for each, wish in self._wishes.items()]
        )
