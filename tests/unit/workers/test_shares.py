"""Tests for :mod:`phpgw.workers.shares`."""

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from phpgw.settings import Settings
from phpgw.settings.option import InvalidOption
from phpgw.workers import shares
from phpgw.workers.shares import count_workers, share_of

URL = "http://localhost/ws.php"


def settings(**options: Any) -> Settings:
    return Settings(**{"php_url": URL} | options)


class CountTests(SynchronousTestCase):
    def test_auto(self) -> None:
        """One for each processor, and not more than PHP works on at once."""
        self.patch(shares, "count_processors", lambda: 8)
        self.assertEqual(5, count_workers(settings(workers=0)))
        self.assertEqual(8, count_workers(settings(workers=0, php_concurrency=32)))

    def test_given(self) -> None:
        self.assertEqual(1, count_workers(settings()))
        self.assertEqual(5, count_workers(settings(workers=5)))

    def test_too_many(self) -> None:
        """Each needs an event that PHP works on."""
        own = {"php_url": None, "php_script": "/ws.php", "php_workers": 3, "php_concurrency": 9}
        for options, most in (({}, 5), ({"php_concurrency": 2}, 2), (own, 3)):
            error = self.assertRaises(
                InvalidOption, count_workers, settings(workers=most + 1, **options)
            )
            self.assertIn(f"--workers: got '{most + 1}'; expected at most {most}", str(error))


class ShareTests(SynchronousTestCase):
    def test_sums(self) -> None:
        """Together the workers have what the settings say, as evenly as possible."""
        whole = settings(php_concurrency=10, max_connections=1000, max_waiting=100)
        shares = [share_of(whole, number, 3) for number in range(3)]
        self.assertEqual([4, 3, 3], [each.php_concurrency for each in shares])
        self.assertEqual([334, 333, 333], [each.max_connections for each in shares])
        self.assertEqual([34, 33, 33], [each.max_waiting for each in shares])

    def test_no_limit(self) -> None:
        """No limit stays none, and a small one does not become none."""
        self.assertEqual(0, share_of(settings(max_connections=0), 0, 2).max_connections)
        self.assertEqual(1, share_of(settings(max_connections=1), 1, 2).max_connections)
