"""Tests for :mod:`phpgw.feed.feed`."""

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from phpgw.feed.feed import Feed
from phpgw.feed.subscription import EventFilter, Subscription
from phpgw.metrics import Metrics
from phpgw.snapshot import Snapshot
from tests.support.event_reports import event_report
from tests.support.fake_viewer import FakeViewer
from tests.support.feed_fixture import FeedFixture

_ALL = Subscription(events=EventFilter())
_STATS = Subscription(stats=True)


class FeedTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock: Any = Clock()
        groups = {"a": ["room-1"]}
        self.fixture = FeedFixture(
            self.clock, groups_of=lambda client_id: groups.get(client_id, ()), has_bodies=False
        )
        self.feed, self.observers = self.fixture.feed, self.fixture.observers

    def watch(self, subscription: Subscription = _ALL) -> FakeViewer:
        viewer = FakeViewer()
        self.feed.subscribe(viewer, subscription)
        return viewer

    def report(self, *messages: bytes, **changes: Any) -> None:
        """Have events end."""
        for message in messages:
            for observer in self.observers._observers:
                observer(event_report(message, **changes))

    def test_events(self) -> None:
        """All that happen in a tenth of a second come in one write."""
        viewer = self.watch()
        self.report(b"1", b"22")
        self.assertEqual(viewer.writes, [])
        self.clock.advance(0.1)
        self.assertEqual(len(viewer.writes), 1)
        sizes = [each["event"]["message_size"] for each in viewer.take()]
        self.assertEqual(sizes, [1, 2])

    def test_encoded_once(self) -> None:
        """All viewers get the very same bytes."""
        viewers = [self.watch() for _ in range(3)]
        self.report(b"1")
        self.clock.advance(0.1)
        first, *others = (viewer.writes[0][0] for viewer in viewers)
        for other in others:
            self.assertIs(first, other)

    def test_filter(self) -> None:
        viewer = self.watch(Subscription(events=EventFilter(group="room-1", outcome="failed")))
        self.report(b"1", client_id="a", outcome="failed")
        self.report(b"22", client_id="a")
        self.report(b"333", client_id="b", outcome="failed")
        self.clock.advance(0.1)
        self.assertEqual([each["event"]["message_size"] for each in viewer.take()], [1])

    def test_nobody_watches(self) -> None:
        """Then nothing is observed, and no timer runs."""
        viewers = [self.watch(_ALL), self.watch(_STATS)]
        self.report(b"1")
        for viewer in viewers:
            self.feed.remove(viewer)
        self.assertEqual(self.observers._observers, ())
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_another_subscription(self) -> None:
        """It replaces the one before."""
        viewer = self.watch(Subscription(stats=True, events=EventFilter()))
        viewer.take()
        self.feed.subscribe(viewer, Subscription())
        self.report(b"1")
        self.clock.advance(1)
        self.assertEqual(viewer.take(), [])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_too_many(self) -> None:
        """Beyond a hundred in a tenth of a second, they are counted alone, for who wants them."""
        everything = self.watch()
        failures = self.watch(Subscription(events=EventFilter(outcome="failed")))
        self.report(*[b"1"] * 150)
        self.clock.advance(0.1)
        messages = everything.take()
        self.assertEqual((len(messages), messages[-1]), (101, {"lost": 50}))
        self.assertEqual(failures.take(), [])
        self.report(b"1")
        self.clock.advance(0.1)
        self.assertEqual(len(everything.take()), 1)

    def test_busy(self) -> None:
        """With thousands in a second, fewer are sent; until it is calm again."""
        viewer = self.watch()
        shown = []
        for count in (500, 500, 10, 10):
            self.report(*[b"1"] * count)
            self.clock.advance(0.1)
            shown.append(sum("event" in each for each in viewer.take()))
        self.assertEqual(shown, [100, 20, 10, 10])

    def test_viewer_that_never_reads(self) -> None:
        """It loses events, takes no memory, and is told how many it has lost once it reads."""
        viewer, other = self.watch(), self.watch()
        viewer.unread = 2**20
        for _ in range(100):
            self.report(b"1")
            self.clock.advance(0.1)
        self.assertEqual((viewer.take(), len(other.take())), ([], 100))
        viewer.unread = 0
        self.report(b"1")
        self.clock.advance(0.1)
        self.assertEqual([[*each] for each in viewer.take()], [["event"], ["lost"]])

    def test_large_events(self) -> None:
        """No viewer is sent megabytes at once; what is too much is lost."""
        fixture = FeedFixture(self.clock, has_bodies=True)
        viewer = FakeViewer()
        fixture.feed.subscribe(viewer, _ALL)
        for observer in fixture.observers._observers:
            for _ in range(100):
                observer(event_report(b"\0" * 4096))
        self.clock.advance(0.1)
        self.assertLess(sum(map(len, viewer.writes[0])), 2**19)
        messages = viewer.take()
        self.assertEqual(messages[-1], {"lost": 101 - len(messages)})

    def test_subscribing_without_reading(self) -> None:
        """Subscriptions are answered, as long as the answers are read."""
        viewer = FakeViewer()
        viewer.unread = 2**20
        self.feed.subscribe(viewer, _STATS)
        self.assertEqual(viewer.writes, [])

    def test_stats(self) -> None:
        """They come at once, and then each second, with rates; not to those that do not read."""
        viewer = self.watch(_STATS)
        [first] = viewer.take()
        self.assertEqual(first["stats"]["messages_received"], 0)
        self.fixture.metrics.messages_received = 5
        self.clock.advance(1)
        [message] = viewer.take()
        self.assertEqual(message["stats"]["rates"]["messages_received"], 5)
        viewer.unread = 2**20
        self.clock.advance(1)
        self.assertEqual(viewer.take(), [])

    def test_events_of_others(self) -> None:
        """Those that another process has seen are sent with the own ones, in the same limits."""
        viewer, other = self.watch(), self.watch()
        self.report(b"1")
        events = [b'{"event": {"message_size": 2}}'] * 150
        self.feed.pass_on([viewer], events, lost=7)
        self.clock.advance(0.1)
        messages = viewer.take()
        self.assertEqual((101, {"lost": 58}), (len(messages), messages[-1]))
        self.assertEqual([1, 2], [each["event"]["message_size"] for each in messages[:2]])
        self.assertEqual(1, len(other.take()))
        self.feed.pass_on([], events, lost=7)
        self.assertEqual([], self.clock.getDelayedCalls())

    def test_flush(self) -> None:
        """What was gathered can be sent at once."""
        viewer = self.watch()
        self.feed.flush()
        self.report(b"1")
        self.feed.flush()
        self.assertEqual(1, len(viewer.take()))
        self.clock.advance(1)
        self.assertEqual([], viewer.take())

    def test_late_stats(self) -> None:
        """The metrics may take some time; nobody waits for those of a second that has passed."""
        taken: list[Deferred[Snapshot]] = []

        def take_snapshot() -> Deferred[Snapshot]:
            taken.append(Deferred())
            return taken[-1]

        feed = Feed(self.clock, self.observers, take_snapshot, lambda _: (), has_bodies=False)
        viewer, second = FakeViewer(), FakeViewer()
        feed.subscribe(viewer, _STATS)
        feed.subscribe(second, _STATS)
        self.assertEqual([], viewer.take())
        taken[0].callback(Snapshot.of(Metrics(clients_now=3)))
        self.assertEqual(
            [3, 3], [each.take()[0]["stats"]["clients_now"] for each in (viewer, second)]
        )
        self.clock.advance(1)
        self.clock.advance(1)
        self.assertEqual(2, len(taken))
        feed.remove(viewer)
        feed.remove(second)
        feed.subscribe(viewer, _STATS)
        taken[1].callback(Snapshot.of(Metrics()))
        taken[2].errback(ValueError("no answer"))
        self.clock.advance(1)
        self.assertEqual(4, len(taken))
        feed.remove(viewer)
        taken[3].callback(Snapshot.of(Metrics()))
        self.assertEqual([], self.clock.getDelayedCalls())

    def test_stop(self) -> None:
        """Viewers are told that the gateway stops."""
        viewer = self.watch()
        self.feed.startService()
        self.feed.stopService()
        self.assertEqual(viewer.closed, (1001, "the gateway stops"))
        self.assertTrue(self.feed.is_stopped)
