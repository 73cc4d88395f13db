"""Tests for :mod:`phpgw.web.paths`."""

from twisted.trial.unittest import SynchronousTestCase

from phpgw.settings import Settings
from phpgw.settings.option import InvalidOption
from phpgw.web.paths import (
    API_PATHS,
    CONSOLE_PATHS,
    HEALTH_PATHS,
    RESERVED_ROOTS,
    Path,
    index_lines,
    route,
)
from tests.support.in_memory_api import InMemoryApi


class TableTests(SynchronousTestCase):
    def test_lines(self) -> None:
        self.assertEqual(
            index_lines((*API_PATHS, *HEALTH_PATHS)),
            (
                "/send  POST message and client_id, for PHP",
                "/commands  POST a JSON list of commands, for PHP",
                "/clients, /groups, /users  who is connected, for PHP",
                "/nodes  the gateways or workers that are one for PHP",
                "/hold, /release  POST, to keep events from PHP for a while",
                "/check  POST, for phpgw check",
                "/failures  the last failures, with what helps",
                "/feed  events and counters as they happen (WebSocket)",
                "/stats  counters, for PHP",
                "/pools  connection pools, and how they fare",
                "/metrics  metrics, for Prometheus",
                "/openapi.json  a description of all this",
                "/healthz  whether the gateway answers",
                "/readyz  whether it can take more clients",
            ),
        )

    def test_methods(self) -> None:
        """Each resource has the methods of the table, and HEAD in addition to GET."""
        api = InMemoryApi()
        for path in API_PATHS:
            target = path.pattern.partition("{")[0] + ("x" if "{" in path.pattern else "")
            allowed = set(api.ask("BREW", target).headers["Allow"].split(", "))
            self.assertEqual(allowed - {"HEAD"}, set(path.methods), path.pattern)

    def test_reserved(self) -> None:
        """The WebSocket cannot have a path of the gateway."""
        self.assertLessEqual(
            {path.root for path in (*API_PATHS, *CONSOLE_PATHS, *HEALTH_PATHS)}, RESERVED_ROOTS
        )
        for root in RESERVED_ROOTS:
            for ws_path in (f"/{root}", f"/{root}/x"):
                with self.assertRaises(InvalidOption):
                    Settings(php_script="/srv/websocket.php", ws_path=ws_path)


class RouteTests(SynchronousTestCase):
    paths = (Path("/a", ("GET",), ""), Path("/a/{b}", ("GET",), ""), Path("/c", ("GET",), ""))

    def test_all(self) -> None:
        self.assertEqual(route(self.paths, {"a": 1, "c": 2}), {b"a": 1, b"c": 2})

    def test_no_match(self) -> None:
        for resources in ({"a": 1}, {"a": 1, "c": 2, "d": 3}):
            self.assertRaises(ValueError, route, self.paths, resources)
