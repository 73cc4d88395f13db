"""Tests for :mod:`phpgw.checks.situation`."""

import os

from twisted.trial.unittest import SynchronousTestCase

from phpgw.checks.situation import Credentials, Situation
from tests.support.checked_situation import running, situation


class SituationTests(SynchronousTestCase):
    def test_not_running(self) -> None:
        """What is not said is as the gateway would have it, run by this user."""
        self.assertEqual(8, situation().concurrency)
        self.assertEqual(3, situation(php_workers=3).concurrency)
        self.assertEqual(5, situation(php_fpm="tcp:127.0.0.1:9000").concurrency)
        self.assertEqual(7, situation(php_url="http://a/b.php", php_concurrency=7).concurrency)
        self.assertEqual(os.geteuid(), situation().credentials.uid)
        self.assertIsNone(situation().script)

    def test_running(self) -> None:
        """All is as the gateway says."""
        report = {
            "settings": situation(ws_path="/live").settings,
            "uid": 33,
            "gids": [33, 44],
            "concurrency": 9,
            "script": {"status": 200},
        }
        made = Situation.from_report(report, "a", is_here=False)
        self.assertEqual(Credentials(33, frozenset((33, 44))), made.credentials)
        self.assertEqual((9, "/live"), (made.concurrency, made.settings["ws-path"]))
        self.assertEqual(({"status": 200}, False), (made.script, made.is_here))

    def test_own_php(self) -> None:
        self.assertTrue(situation().runs_php)
        self.assertFalse(situation(php_url="http://a/b.php").runs_php)
        self.assertFalse(running(php_fpm="tcp:127.0.0.1:9000").runs_php)
