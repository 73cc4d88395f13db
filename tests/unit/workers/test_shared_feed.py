"""Tests for :mod:`phpgw.workers.shared_feed` and :mod:`phpgw.workers.feed_router`."""

import json
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from phpgw.feed.subscription import EventFilter, Subscription
from phpgw.workers.feed_router import FeedRouter
from phpgw.workers.shared_feed import SharedFeed
from tests.support.event_reports import event_report
from tests.support.fake_viewer import FakeViewer
from tests.support.feed_fixture import FeedFixture

_ALL = Subscription(events=EventFilter())
_FAILED = Subscription(events=EventFilter(outcome="failed"))
_ROOM = Subscription(events=EventFilter(group="room-1"))


class FeedWorker:
    """A worker with a feed, and its process as the parent sees it.

    :ivar is_stopped: whether it reads nothing for the time being.
    :ivar told: the types of the messages that it has sent to the parent.
    """

    def __init__(self, parent: "FeedParent") -> None:
        self._parent = parent
        self.is_stopped = False
        self._unread: list[dict[str, Any]] = []
        self.told: list[str] = []
        self.fixture = FeedFixture(
            parent.clock, groups_of=lambda client_id: [f"room-{client_id}"], has_bodies=False
        )
        self.feed = SharedFeed(self.fixture.feed, self._tell_parent)

    def tell(self, kind: str, **fields: Any) -> None:
        """Write into the pipe from the parent."""
        self._unread.append(json.loads(json.dumps({"type": kind, **fields})))
        if not self.is_stopped:
            self.resume()

    def resume(self) -> None:
        """Read what there is to read."""
        self.is_stopped = False
        unread, self._unread = self._unread, []
        for message in unread:
            {
                "watched": self.feed.hear_watched,
                "events": self.feed.hear_events,
                "events_read": self.feed.hear_read,
                "missing": self.feed.hear_missing,
            }[message["type"]](message)

    def unread_size(self) -> int:
        """Return how many bytes wait to be read."""
        return len(json.dumps(self._unread))

    def watch(self, subscription: Subscription = _ALL) -> FakeViewer:
        viewer = FakeViewer()
        self.feed.subscribe(viewer, subscription)
        return viewer

    def report(self, *messages: bytes, **changes: Any) -> None:
        """Have events end."""
        for message in messages:
            for observer in self.fixture.observers._observers:
                observer(event_report(message, **changes))

    @property
    def is_observed(self) -> bool:
        """Return whether its events are looked at."""
        return bool(self.fixture.observers._observers)

    def _tell_parent(self, kind: str, **fields: Any) -> None:
        self.told.append(kind)
        router, process = self._parent.router, self
        message = json.loads(json.dumps({"type": kind, **fields}))
        if kind == "watch":
            router.watch(process, message["wanted"])  # type: ignore[arg-type]
        else:
            router.pass_on(process, message)  # type: ignore[arg-type]


class FeedParent:
    """A parent and its workers."""

    def __init__(self) -> None:
        self.clock: Any = Clock()
        self.workers: list[Any] = []
        self.router = FeedRouter(lambda: self.workers)

    def start(self) -> FeedWorker:
        worker: Any = FeedWorker(self)
        self.workers.append(worker)
        self.router.started(worker)
        started: FeedWorker = worker
        return started

    def end(self, worker: Any) -> None:
        """Have a worker killed."""
        self.workers.remove(worker)
        self.router.ended(worker)


class SharedFeedTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.parent = FeedParent()
        self.clock = self.parent.clock
        self.first, self.second = self.parent.start(), self.parent.start()

    def sizes(self, viewer: FakeViewer, seconds: float = 0.2) -> list[int]:
        """Return the sizes of the messages that a viewer has seen, after so many seconds."""
        self.clock.pump([0.1] * round(seconds * 10))
        return [each["event"]["message_size"] for each in viewer.take() if "event" in each]

    def test_events(self) -> None:
        """A viewer sees the events of all workers, those of each in order."""
        viewer = self.first.watch()
        self.first.report(b"1", b"22")
        self.second.report(b"333", b"4444")
        self.assertEqual([1, 2, 3, 4], self.sizes(viewer))

    def test_late_worker(self) -> None:
        """A worker that starts while somebody watches sends its events, too."""
        viewer = self.first.watch()
        late = self.parent.start()
        late.report(b"1")
        self.assertEqual([1], self.sizes(viewer))

    def test_filters(self) -> None:
        """Each viewer gets what it wants; a group is one of the worker that has the client."""
        failed, room = self.first.watch(_FAILED), self.first.watch(_ROOM)
        other = self.second.watch(_FAILED)
        self.second.report(b"1", client_id="1")
        self.second.report(b"22", client_id="2", outcome="failed")
        seen = [self.sizes(failed), self.sizes(room, 0), self.sizes(other, 0)]
        self.assertEqual([[2], [1], [2]], seen)

    def test_sent_once(self) -> None:
        """For several viewers at a worker who want the same, an event is sent once."""
        viewers = [self.first.watch() for _ in range(3)]
        self.second.report(b"1")
        self.assertEqual([[1]] * 3, [self.sizes(viewer) for viewer in viewers])
        self.assertEqual(["events"], self.second.told)
        self.assertEqual(["watch", "events_read"], self.first.told)

    def test_nobody_watches(self) -> None:
        """Then no worker looks at its events, and nothing is sent."""
        viewers = [self.first.watch(), self.first.watch(_FAILED), self.second.watch()]
        self.assertTrue(self.first.is_observed and self.second.is_observed)
        for worker, viewer in zip((self.first, self.first, self.second), viewers, strict=True):
            worker.feed.remove(viewer)
        self.assertFalse(self.first.is_observed or self.second.is_observed)
        self.assertEqual([], self.clock.getDelayedCalls())

    def test_other_wishes(self) -> None:
        """A viewer can change what it wants."""
        viewer = self.first.watch()
        self.first.feed.subscribe(viewer, _FAILED)
        self.second.report(b"1")
        self.second.report(b"22", outcome="failed")
        self.assertEqual([2], self.sizes(viewer))
        self.first.feed.subscribe(viewer, Subscription())
        self.assertFalse(self.second.is_observed)

    def test_flood(self) -> None:
        """What is too much is not sent, and counted, at the worker that has it and at the other."""
        viewer = self.first.watch()
        third = self.parent.start()
        for worker in (self.first, self.second, third):
            worker.report(*[b"1"] * 150)
        shown = lost = 0
        for _ in range(5):
            self.clock.advance(0.1)
            for each in viewer.take():
                shown += "event" in each
                lost += each.get("lost", 0)
            self.assertLessEqual(shown, 200)
        self.assertEqual(450, shown + lost)

    def test_viewer_hangs(self) -> None:
        """Nothing gathers for a worker that does not read; it is told later how much it missed."""
        viewer = self.first.watch()
        self.first.is_stopped = True
        count = 0
        for _ in range(200):
            self.second.report(*[b"x" * 2000] * 20)
            count += 20
            self.clock.advance(0.1)
        self.assertLess(self.first.unread_size(), 2**20)
        self.first.resume()
        self.second.report(b"1")
        self.clock.pump([0.1] * 3)
        messages = viewer.take()
        shown = sum("event" in each for each in messages)
        lost = sum(each.get("lost", 0) for each in messages)
        self.assertEqual(count + 1, shown + lost)
        self.assertGreater(lost, 1000)
        self.second.report(b"1")
        self.assertEqual([1], self.sizes(viewer))

    def test_viewers_worker_ends(self) -> None:
        """The others send nothing any more."""
        self.first.watch()
        self.second.report(b"1")
        self.parent.end(self.first)
        self.assertFalse(self.second.is_observed)
        self.clock.pump([0.1] * 3)
        self.assertEqual([], self.second.told)

    def test_worker_stops(self) -> None:
        """Its viewers are told to go; those at others see its events to the last."""
        viewer, own = self.first.watch(), self.second.watch()
        self.second.fixture.feed.startService()
        self.second.fixture.feed.stopService()
        self.assertEqual((1001, "the gateway stops"), own.closed)
        self.assertTrue(self.second.feed.is_stopped)
        self.second.report(b"1")
        self.second.feed.finish()
        self.assertEqual([1], self.sizes(viewer))

    def test_missing(self) -> None:
        """Viewers know of which workers no events come, also those who begin to watch then."""
        viewer = self.first.watch()
        self.parent.router.set_missing([2])
        self.parent.router.set_missing([2])
        self.assertEqual([{"missing": [2]}], viewer.take())
        late = self.first.watch()
        self.assertEqual([{"missing": [2]}], late.take())
        self.first.feed.subscribe(late, _FAILED)
        self.assertEqual([], late.take())
        self.assertEqual([{"missing": [2]}], self.parent.start().watch().take())
        self.parent.router.set_missing([])
        self.assertEqual([{"missing": []}], viewer.take())

    def test_late_messages(self) -> None:
        """What is for a worker that has ended, or of one, is no error."""
        self.first.watch()
        self.second.report(b"1")
        self.first.is_stopped = True
        self.clock.advance(0.1)
        self.parent.end(self.second)
        self.first.resume()
        self.first.tell("events_read", by=99, size=5)
        self.first.tell("watched", by=99, wanted=[])
