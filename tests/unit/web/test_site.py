"""Tests for :mod:`phpgw.web.site`."""

from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import Resource

from tests.support.fakes import request


class LogTests(SynchronousTestCase):
    def test_log(self) -> None:
        """The URL is not logged, since it may contain a message."""
        with capturedLogs() as events:
            request(Resource(), "POST", "/send?message=secret", headers=[("User-Agent", "secret")])
        self.assertNotIn("secret", "\n".join(formatEvent(event) for event in events))
