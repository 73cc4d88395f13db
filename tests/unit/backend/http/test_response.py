"""Tests for :mod:`phpgw.backend.http.response`; most of it is tested with a backend."""

from treq import content
from twisted.trial.unittest import SynchronousTestCase

from phpgw.backend.http.response import ShortResponse
from phpgw.backend.reply import Head


class ShortResponseTests(SynchronousTestCase):
    def test_treq(self) -> None:
        """treq reads it like any other response."""
        for body in (b"", b"ok"):
            response = ShortResponse(Head(200, ((b"x", b"y"),)), body)
            self.assertEqual(body, self.successResultOf(content(response)))
            self.assertEqual((200, len(body)), (response.code, response.length))
            self.assertEqual([b"y"], response.headers.getRawHeaders(b"X"))
