"""Tests for :mod:`phpgw.cli.top_view`."""

from datetime import UTC, datetime
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from phpgw.cli.top_view import _SHOWN, ORDERS, Sample, View, age, rates
from phpgw.metrics import Metrics
from tests.support.hostile_names import HOSTILE_NAMES

NOW = datetime(2026, 1, 2, 12, 0, 0, tzinfo=UTC)


def client(client_id: str, *groups: str, user: str | None = None, second: int = 0) -> Any:
    return {
        "client_id": client_id,
        "user": user,
        "groups": groups,
        "connected_at": f"2026-01-02T11:59:{second:02}.000Z",
        "address": f"10.0.0.{second}",
    }


def sample(seconds: float = 0.0, *clients: Any, total: int | None = None, **stats: int) -> Sample:
    all_stats = {**Metrics().as_dict(), **stats}
    return Sample(seconds, all_stats, clients, len(clients) if total is None else total)


class RateTests(SynchronousTestCase):
    def test_rates(self) -> None:
        """Counters grow; numbers of now are no rates."""
        growth = rates(sample(1.0, messages_sent=10), sample(3.0, messages_sent=20, clients_now=9))
        self.assertEqual(5.0, growth["messages_sent"])
        self.assertEqual(0.0, growth["messages_received"])
        self.assertNotIn("clients_now", growth)

    def test_first(self) -> None:
        self.assertEqual({0.0}, {*rates(None, sample(1.0, messages_sent=10)).values()})

    def test_same_time(self) -> None:
        self.assertEqual({0.0}, {*rates(sample(1.0), sample(1.0, messages_sent=10)).values()})

    def test_started_anew(self) -> None:
        self.assertEqual({0.0}, {*rates(sample(1.0, messages_sent=10), sample(2.0)).values()})

    def test_names(self) -> None:
        """What has a place of its own on the screen is a metric."""
        self.assertLessEqual(_SHOWN, Metrics().as_dict().keys())


class OrderTests(SynchronousTestCase):
    clients = (
        client("b", "x", user="2", second=3),
        client("a", second=1),
        client("c", "x", "y", user="1", second=2),
    )

    def test_orders(self) -> None:
        for order, expected in (
            ("client", "abc"),
            ("user", "cba"),
            ("groups", "cba"),
            ("age", "acb"),
            ("address", "acb"),
        ):
            for is_reversed in (False, True):
                found = View(order, is_reversed).sorted(self.clients)
                ids = "".join(each["client_id"] for each in found)
                self.assertEqual(expected[::-1] if is_reversed else expected, ids, order)

    def test_keys(self) -> None:
        view = View("client")
        seen = []
        for _ in ORDERS:
            view.press("s")
            seen.append(view.order)
        self.assertEqual([*[*ORDERS][1:], "client"], seen)
        view.press("r")
        self.assertTrue(view.is_reversed)
        view.press("\x1b")
        self.assertEqual(View("client", True), view)


class FrameTests(SynchronousTestCase):
    def frame(self, before: Sample | None, now: Sample, height: int = 24) -> list[str]:
        return View("client").lines("http://h:1", before, now, NOW, height)

    def test_lines(self) -> None:
        now = sample(
            2.0,
            client("a", "x", user="1", second=58),
            messages_received=6,
            php_requests_now=4,
            rate_pauses=2,
            breaker_open_now=1,
        )
        lines = self.frame(sample(0.0), now)
        self.assertEqual("phpgw top  http://h:1  12:00:00  q quit  s sort  r reverse", lines[0])
        self.assertIn("Messages  3.0/s received, 0.0/s sent", lines)
        self.assertIn("PHP       0.0/s events, 0.0/s failures, 4 events at PHP, 0 waiting", lines)
        self.assertIn("Also      the circuit breaker is open, rate_pauses 1.0/s", lines)
        self.assertEqual("1 client, by client", lines[-3])
        self.assertEqual(["a", "1", "x", "2s", "10.0.0.58"], lines[-1].split())

    def test_part(self) -> None:
        self.assertIn(
            "the first 1 of 9 clients, by client", self.frame(None, sample(0, client("a"), total=9))
        )

    def test_height(self) -> None:
        """The frame fits the screen, but for its head."""
        clients = [client(f"{number:03}") for number in range(100)]
        self.assertEqual(24, len(self.frame(None, sample(0, *clients))))
        self.assertLess(len(self.frame(None, sample(0, *clients), 3)), 12)

    def test_hostile_names(self) -> None:
        clients = [client(name, name, user=name) for name in HOSTILE_NAMES]
        for line in self.frame(None, sample(0, *clients), 99):
            self.assertTrue(line.isprintable(), ascii(line))

    def test_age(self) -> None:
        for time, expected in (
            ("2026-01-02T11:59:59.500Z", "0s"),
            ("2026-01-02T11:58:30.000Z", "1m 30s"),
            ("2026-01-02T10:00:00.000Z", "2h 0m"),
            ("2025-12-31T00:00:00.000Z", "2d 12h"),
            ("2026-01-03T00:00:00.000Z", "0s"),
        ):
            self.assertEqual(expected, age(time, NOW))
