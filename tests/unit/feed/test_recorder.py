"""Tests for :mod:`phpgw.feed.recorder`."""

from twisted.trial.unittest import SynchronousTestCase

from phpgw.feed.recorder import EventRecorder
from tests.support.event_reports import event_report


class EventRecorderTests(SynchronousTestCase):
    def messages(
        self, recorder: EventRecorder, client_id: str = "a", since: float = 0
    ) -> list[str]:
        """The messages that are recorded of a client."""
        return [each["message"] for each in recorder.records(client_id, since)]

    def test_last_ones(self) -> None:
        """Each client has its last ones, newest first."""
        recorder = EventRecorder(2)
        for message in (b"1", b"2", b"3"):
            recorder(event_report(message, "a"))
        recorder(event_report(b"4", "b"))
        self.assertEqual(self.messages(recorder), ["3", "2"])
        self.assertEqual(self.messages(recorder, "b"), ["4"])
        self.assertEqual(self.messages(recorder, "c"), [])

    def test_timers(self) -> None:
        """Events of no client are not recorded."""
        recorder = EventRecorder(2)
        recorder(event_report(b"clock", "", type_="timer"))
        self.assertEqual(self.messages(recorder, ""), [])

    def test_client_with_the_same_id(self) -> None:
        """A client has no events from before it connected."""
        recorder = EventRecorder(5)
        recorder(event_report(b"before", at=10.0))
        recorder(event_report(b"after", at=20.0))
        self.assertEqual(self.messages(recorder, since=15), ["after"])

    def test_memory(self) -> None:
        """Those that were silent for longest are dropped, and a long message counts as such."""
        recorder = EventRecorder(10, max_size=50_000)
        for number in range(100):
            recorder(event_report(b"x", str(number)))
            recorder(event_report(b"x" * 2**20, "chatty"))
        self.assertEqual(self.messages(recorder, "0"), [])
        self.assertEqual(self.messages(recorder, "99"), ["x"])
        self.assertLessEqual(len(self.messages(recorder, "chatty")), 10)
        self.assertLessEqual(recorder._size, 50_000)

    def test_wide_characters(self) -> None:
        """One of them makes a text four times as large in memory, which counts."""
        recorder = EventRecorder(10, max_size=100_000)
        message = b"x" * 4000 + "😀".encode()
        for number in range(10):
            recorder(event_report(message, str(number), reply=message))
        kept = sum(len(self.messages(recorder, str(number))) for number in range(10))
        self.assertEqual(kept, 2)
