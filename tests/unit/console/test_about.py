"""Tests for :mod:`phpgw.console.about`."""

import json

from phpgw import __version__
from tests.support.in_memory_console import FROM_PAGE, ConsoleTestCase


class AboutTests(ConsoleTestCase):
    def test_about(self) -> None:
        session = {**FROM_PAGE, "Cookie": self.cookie()}
        answer = self.ask("GET", "/console/api/about", session)
        self.assertEqual(200, answer.status)
        self.assertEqual(
            {"version": __version__, "script_url": "http://localhost/websocket.php"},
            json.loads(answer.body),
        )

    def test_nobody_else(self) -> None:
        for path in ("/console/api/about", "/about"):
            self.assertNotEqual(200, self.api.ask("GET", path).status)
