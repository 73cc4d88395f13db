"""The recorded events of clients, on whichever node."""

from typing import Any

from phpgw.cluster.recorded_events import ClusterRecords
from phpgw.feed.recorder import EventRecorder
from phpgw.hub.directory import NotKnown
from tests.support.event_reports import event_report
from tests.support.memory_cluster import ClusterTestCase


class ClusterRecordsTests(ClusterTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.recorder = EventRecorder(500)
        self.records = ClusterRecords(self.recorder.records, self.a.router, self.a.exchange)

    def record(self, recorder: EventRecorder, client_id: str, *times: float, **more: Any) -> None:
        for at in times:
            recorder(event_report(b"hello", client_id=client_id, at=at, **more))

    def share(self, count: int = 500) -> EventRecorder:
        """Have node b record events."""
        recorder = EventRecorder(count)
        ClusterRecords(recorder.records, self.b.router, self.b.exchange)
        return recorder

    def times(self, client_id: str, since: float = 0) -> Any:
        found = self.result(self.records.find(client_id, since))
        return found if found is None else [each["at"] for each in found]

    def test_found(self) -> None:
        """They are those that the node of the client has, newest first."""
        other = self.share()
        self.record(self.recorder, "aaaa.1", 1.5)
        self.record(other, "bbbb.1", 2.5, 3.5, 4.5)
        self.assertEqual([1.5], self.times("aaaa.1"))
        self.assertEqual([4.5, 3.5], self.times("bbbb.1", since=3.0))
        self.assertEqual(other.records("bbbb.1", 0), self.result(self.records.find("bbbb.1", 0)))
        self.assertEqual([], self.times("bbbb.2"))
        self.assertEqual([], self.times("dddd.1"))

    def test_not_recorded_there(self) -> None:
        ClusterRecords(None, self.b.router, self.b.exchange)
        self.assertIsNone(self.times("bbbb.1"))

    def test_not_recorded_here(self) -> None:
        records = ClusterRecords(None, self.a.router, self.a.exchange)
        self.assertIsNone(self.result(records.find("aaaa.1", 0)))

    def test_not_known(self) -> None:
        """A node that does not answer may have some."""
        for node in ("bbbb.1", "cccc.1"):
            self.share()
            self.b.bus.is_deaf = node == "bbbb.1"
            found: Any = self.records.find(node, 0)
            for _ in range(12):
                self.turn(0.1)
            self.failureResultOf(found, NotKnown)

    def test_nonsense(self) -> None:
        self.b.exchange.handlers["records"] = lambda sender, arguments: 5
        found: Any = self.records.find("bbbb.1", 0)
        self.turn()
        self.failureResultOf(found, NotKnown)

    def test_bounded(self) -> None:
        """Not more than a megabyte comes from another node: the newest ones."""
        other = self.share()
        self.record(other, "bbbb.1", *range(500), problem="x" * 10_000, reply=b"y" * 10_000)
        times = self.times("bbbb.1")
        self.assertTrue(150 < len(times) < 300, len(times))
        self.assertEqual(499, times[0])
