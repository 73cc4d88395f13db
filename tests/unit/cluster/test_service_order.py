"""Services that need each other."""

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from phpgw.cluster.service_order import ServiceOrder


class _Noted(Service):
    def __init__(self, name: str, notes: list[str]) -> None:
        self.name = name
        self.notes = notes
        self.stopped: Deferred[None] = Deferred()

    def startService(self) -> None:
        super().startService()
        self.notes.append(f"{self.name} starts")

    def stopService(self) -> Deferred[None]:
        super().stopService()
        self.notes.append(f"{self.name} stops")
        return self.stopped


class OrderTests(SynchronousTestCase):
    def test_order(self) -> None:
        """Each starts after the ones before it, and they stop once it has stopped."""
        notes: list[str] = []
        first, second = _Noted("first", notes), _Noted("second", notes)
        both = ServiceOrder([first, second])
        both.startService()
        self.assertEqual(["first starts", "second starts"], notes)
        stopped = both.stopService()
        self.assertEqual(["second stops"], notes[2:])
        second.stopped.callback(None)
        self.assertEqual(["second stops", "first stops"], notes[2:])
        self.assertNoResult(stopped)
        first.stopped.callback(None)
        self.successResultOf(stopped)
