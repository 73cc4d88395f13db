"""``/failures``: the last failures; and ``/clients/ID`` with the last events."""

from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from phpgw.api.openapi import openapi_document
from phpgw.backend.errors import BackendTimeout
from phpgw.feed.recorder import EventRecorder
from tests.support.event_reports import event_report
from tests.support.fakes import REMOTE
from tests.support.in_memory_api import InMemoryApi


class FailuresTests(SynchronousTestCase):
    def test_failures(self) -> None:
        """Newest first, with why, and what helps."""
        api = InMemoryApi()
        self.assertEqual(api.get("/failures"), {"failures": []})
        for failure_id in ("1", "2"):
            event = event_report(client_id="a", user="42").event
            api.watching.failures.add(failure_id, event, Failure(BackendTimeout("too slow")))
        newest, oldest = api.get("/failures")["failures"]
        self.assertEqual((newest["id"], oldest["id"]), ("2", "1"))
        self.assertEqual((newest["client_id"], newest["user"]), ("a", "42"))
        self.assertEqual(newest["problem"], "too slow")
        self.assertIn("--php-timeout", newest["fix"])
        schema = openapi_document()["components"]["schemas"]["Failure"]
        self.assertEqual([*newest], schema["required"])

    def test_stranger(self) -> None:
        self.assertEqual(InMemoryApi().refusal("GET", "/failures", peer=REMOTE)[0], 403)


class RecordedEventsTests(SynchronousTestCase):
    def test_events(self) -> None:
        recorder = EventRecorder(5)
        api = InMemoryApi(recorder=recorder)
        api.connect("a", connected_at=1000.0)
        for at in (999.0, 1001.0, 1002.0):
            recorder(event_report(client_id="a", at=at))
        self.assertEqual([each["at"] for each in api.get("/clients/a")["events"]], [1002, 1001])

    def test_not_recorded(self) -> None:
        """Then there is no such field."""
        api = InMemoryApi()
        api.connect("a")
        self.assertNotIn("events", api.get("/clients/a"))
