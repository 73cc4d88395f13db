"""Tests for :mod:`phpgw.cli.status`."""

import json
from typing import Any

from twisted.web.static import Data

from phpgw import __version__
from phpgw.api.access import AccessControl
from phpgw.api.pools import PoolsResource
from phpgw.cli.status import describe
from phpgw.metrics import Metrics
from phpgw.pools.figures import PoolFigures
from phpgw.pools.metrics import describe_pool
from phpgw.prometheus.figures import OwnFigures
from phpgw.prometheus.plain_family import PlainFamily
from phpgw.web.health import ReadinessResource
from tests.support.cli_test_case import ApiCliTestCase


class FixedPools(PoolsResource):
    """``/pools`` of a gateway with these pools."""

    def __init__(self, access: AccessControl, pools: list[dict[str, Any]]) -> None:
        super().__init__(access, OwnFigures(Metrics(), (), self))
        self._pools = pools

    def families(self) -> list[PlainFamily]:
        return []

    def as_json(self) -> list[dict[str, Any]]:
        return self._pools


class StatusTests(ApiCliTestCase):
    def test_ready(self) -> None:
        self.api.metrics.clients_now = 3
        self.api.metrics.php_requests = 20
        lines = self.printed("status").splitlines()
        self.assertEqual("Gateway     http://127.0.0.1:8080", lines[0])
        self.assertEqual(f"Version     {__version__}", lines[1])
        self.assertIn("Ready       yes", lines)
        self.assertIn("Clients     3", lines)
        self.assertIn("Events      20 sent to PHP, 0 failed", lines)
        self.assertIn("Breaker     closed", lines)

    def test_not_ready(self) -> None:
        """It says why not, and the exit status is 1."""
        checks = (lambda: "PHP is down \x1b[31m", lambda: None, lambda: "it is full")
        self.api.root.putChild(b"readyz", ReadinessResource(checks))
        ended = self.run_phpgw("status")
        self.assertEqual((1, ""), (ended.status, ended.stderr))
        self.assertIn("Ready       no: PHP is down \\x1b[31m; it is full\n", ended.stdout)

    def test_json(self) -> None:
        self.api.metrics.clients_now = 3
        status = json.loads(self.printed("status", "--json"))
        self.assertEqual((3, __version__), (status["stats"]["clients_now"], status["version"]))
        self.assertEqual((True, []), (status["ready"], status["obstacles"]))

    def test_pools(self) -> None:
        """Each pool has a row; a gateway without pools says nothing of them."""
        self.assertNotIn("POOL", self.printed("status"))
        figures = PoolFigures(in_use=3, idle=1, opened=7, cleaned=5, problem="refused")
        figures.refused["full"] += 2
        figures.waits.observe(0.004)
        pool = {"name": "db", "size": 8, **describe_pool(figures)}
        self.api.root.putChild(b"pools", FixedPools(self.api.access, [pool]))
        *_, headings, row = self.printed("status").splitlines()
        self.assertTrue(headings.startswith("POOL  IN USE  IDLE"))
        self.assertEqual(
            ["db", "3", "1", "0", "8", "7", "5", "2", "5.0", "ms", "refused"], row.split()
        )
        self.assertEqual([pool], json.loads(self.printed("status", "--json"))["pools"])

    def test_states(self) -> None:
        fields = describe({**Metrics().as_dict(), "held_now": 1, "breaker_open_now": 1})
        self.assertEqual(("open", "yes"), (fields["Breaker"], fields["Held"]))

    def test_list_of_nodes(self) -> None:
        """The nodes are in a table, with what is wrong with one."""
        nodes = [
            {
                "node": "aaaa",
                "name": "web1 worker 1",
                "clients": 12,
                "rate": 3.5,
                "lease_age": 1.23,
                "problem": "",
            },
            {
                **{"node": "bbbb", "name": "", "clients": None, "rate": None, "lease_age": None},
                "problem": "it does not answer",
            },
        ]
        resource = Data(json.dumps({"nodes": nodes}).encode(), "application/json")
        self.api.root.putChild(b"nodes", resource)
        *_, head, first, second = self.printed("status").splitlines()
        self.assertEqual(
            ["NODE", "CLIENTS", "MESSAGES/S", "LEASE", "RENEWED", "PROBLEM"], head.split()
        )
        self.assertEqual(["web1", "worker", "1", "12", "3.5", "1.2", "s", "ago"], first.split()[:8])
        self.assertEqual(["bbbb", "?", "?", "?", "it", "does", "not", "answer"], second.split())
        self.assertEqual(nodes, json.loads(self.printed("status", "--json"))["nodes"])

    def test_nodes(self) -> None:
        """A gateway that is one of several says how many there are; one that is alone, nothing."""
        self.assertNotIn("Nodes", describe(Metrics().as_dict()))
        self.assertEqual("3", describe({**Metrics().as_dict(), "nodes_now": 3})["Nodes"])
