"""Tests for :mod:`phpgw.pools.postgres.figures`."""

from twisted.trial.unittest import SynchronousTestCase

from phpgw.pools.postgres.figures import PgBouncerFigures


def server(pointer: str, since: str, state: str = "active") -> dict[str, str]:
    return {"ptr": pointer, "connect_time": since, "state": state}


class FiguresTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.figures = PgBouncerFigures()

    def test_connections(self) -> None:
        """They are those of all databases."""
        one = {"sv_active": "2", "sv_idle": "1", "sv_used": "1", "sv_login": "1"}
        two = {"sv_active": "1", "cl_waiting": "7", "maxwait": "-"}
        self.figures.take([one, two], [])
        now = self.figures.now
        self.assertEqual((3, 2, 1, 7), (now.in_use, now.idle, now.opening, now.waiting))
        self.figures.forget("it ended")
        self.assertEqual((0, 0, 0, 0), (now.in_use, now.idle, now.opening, now.waiting))
        self.assertEqual("it ended", now.problem)

    def test_opened(self) -> None:
        """A connection is counted once, and one at the same place later is another one."""
        self.figures.take([], [server("0x1", "noon"), server("0x2", "noon", "login")])
        self.assertEqual(1, self.figures.now.opened)
        self.figures.take([], [server("0x1", "noon", "idle"), server("0x2", "noon")])
        self.assertEqual(2, self.figures.now.opened)
        self.figures.take([], [server("0x1", "later")])
        self.assertEqual(3, self.figures.now.opened)

    def test_refused(self) -> None:
        self.figures.count_refusal("query_wait_timeout")
        self.figures.count_refusal("server login failed")
        refused = self.figures.now.refused
        self.assertEqual((1, 1), (refused["full"], refused["unavailable"]))
        self.assertEqual("server login failed", self.figures.now.problem)
        self.figures.take([], [server("0x1", "noon")])
        self.assertEqual("", self.figures.now.problem)
