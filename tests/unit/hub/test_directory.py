"""Tests for :mod:`phpgw.hub.directory`: long lists, a page at a time."""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from phpgw.hub.directory import PageQuery
from phpgw.time_slices import run_to_completion


class PageTests(SynchronousTestCase):
    @given(st.sets(st.text(min_size=1, max_size=3), max_size=20), st.integers(1, 7))
    def test_walk(self, names: set[str], limit: int) -> None:
        """All pages together have every name once, in order, and none is short but the last."""
        walked: list[str] = []
        following: str | None = ""
        while following is not None:
            part, following = run_to_completion(PageQuery(limit, following).select([*names]))
            self.assertTrue(len(part) == limit or following is None)
            walked += part
        self.assertEqual(sorted(names), walked)

    @given(
        st.sets(st.text(min_size=1, max_size=3), min_size=1, max_size=10),
        st.lists(st.sets(st.text(min_size=1, max_size=3), max_size=3)),
    )
    def test_coming_and_going(self, staying: set[str], others: list[set[str]]) -> None:
        """Who stays is met once, whoever else comes and goes between two pages."""
        walked: list[str] = []
        following: str | None = ""
        while following is not None:
            there = staying | (others.pop() if others else set())
            part, following = run_to_completion(PageQuery(2, following).select([*there]))
            walked += part
        self.assertEqual(sorted(staying), [name for name in walked if name in staying])

    def test_long(self) -> None:
        """However many there are, the page is right, and found a piece at a time."""
        names = [str(n) for n in range(50_000)]
        steps = PageQuery(3, "29999").select(names)
        self.assertEqual(25, sum(1 for _ in steps))
        self.assertEqual(
            (["3", "30", "300"], "300"),
            run_to_completion(PageQuery(3, "29999").select(names[::-1])),
        )

    def test_first(self) -> None:
        """A name that begins as the last page ended is behind it."""
        self.assertEqual(
            (["ab"], None), run_to_completion(PageQuery(5, "a").select(["a", "ab", "A"]))
        )
