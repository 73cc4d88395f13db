"""Tests for :mod:`phpgw.api.unshared`."""

from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import Resource

from phpgw.api.access import Access
from phpgw.api.unshared import UnsharedResource
from tests.support.fakes import REMOTE, request


class UnsharedResourceTests(SynchronousTestCase):
    def test_refused(self) -> None:
        """Who may use the API gets the reason; a stranger is refused as everywhere."""
        root = Resource()
        root.putChild(b"feed", UnsharedResource(Access(None)))
        for method in ("GET", "POST"):
            answer = request(root, method, "/feed")
            self.assertEqual(501, answer.status)
            self.assertIn(b"--workers 1", answer.body)
        self.assertEqual(403, request(root, "POST", "/feed", peer=REMOTE).status)
