"""Tests for :mod:`phpgw.api.pagination`: the parameters of a page."""

from twisted.trial.unittest import SynchronousTestCase

from phpgw.api.pagination import read_page
from phpgw.hub.directory import PageQuery
from phpgw.web.response import HttpError


class ParameterTests(SynchronousTestCase):
    def test_usual(self) -> None:
        self.assertEqual(PageQuery(100, ""), read_page({}))

    def test_given(self) -> None:
        self.assertEqual(PageQuery(1000, "é"), read_page({"limit": "1000", "after": "é"}))

    def test_bad_limit(self) -> None:
        for limit in ("", "0", "1001", "-1", "1.0", " 1", "1_0", "٣", "x", "9" * 5000):
            refused = self.assertRaises(HttpError, read_page, {"limit": limit})
            self.assertEqual(400, refused.status)
            self.assertEqual("limit: expected a number from 1 to 1000", str(refused))
