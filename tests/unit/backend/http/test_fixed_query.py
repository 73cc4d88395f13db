"""Tests for :mod:`phpgw.backend.http.fixed_query`."""

from twisted.trial.unittest import SynchronousTestCase

from phpgw.backend.http.fixed_query import FixedQuery


def extended(own: str, query: str) -> str:
    return FixedQuery(own.encode()).extended(query.encode()).decode()


class FixedQueryTests(SynchronousTestCase):
    def test_what_sets_the_same_variable_is_left_out(self) -> None:
        for query in (
            *("r=2", "%72=2", "%72%3d=", "r", "r[]=2", "r[x]=2", "r%5Bx%5d=2", "r[x][y]=2"),
            *("+r=2", "%20%20r=2", "r%00x=2", "R=2", "r=2=3", "a;r=2", "a=1;%72=2", "r;x=1"),
        ):
            expected = "r=1&k=v&x=%3D" if query != "%72%3d=" else "r=1&k=v&%72%3d=&x=%3D"
            self.assertEqual(expected, extended("r=1", f"k=v&{query}&x=%3D"), query)

    def test_names_that_php_changes(self) -> None:
        for own in ("a.b=1", "a_b=1", "a+b=1", "a%5bb=1", "a%2Eb[]=1"):
            for query in ("a_b=2", "a.b=2", "a b=2", "a%20b[]=2", "a[b=2", "A%2eb=2"):
                self.assertEqual(own, extended(own, query), (own, query))

    def test_all_else_is_kept_as_it_is(self) -> None:
        query = "room=a%26b&x[]=1&x[]=2&rr=1&r_=2&_r=3&q&a=1;b=2&%zz=r"
        self.assertEqual(f"r=1&{query}", extended("r=1", query))
        self.assertEqual("&&r=2&;", extended("", "&&r=2&;"))

    def test_more_than_php_counts(self) -> None:
        """PHP takes the first thousand variables."""
        own = extended("r=1", "&".join(f"v{number}" for number in range(2000)))
        self.assertTrue(own.startswith("r=1&"))
