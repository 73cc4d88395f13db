"""Tests for :mod:`phpgw.api.nodes`."""

import json
from collections.abc import Sequence

from twisted.internet.defer import Deferred, succeed
from twisted.trial.unittest import SynchronousTestCase

from phpgw.api.nodes import NodesResource
from phpgw.hub.nodes import NodeInfo
from tests.support.in_memory_api import InMemoryApi


class TwoNodes:
    """A list of two nodes, one of which is not known."""

    def nodes(self) -> Deferred[Sequence[NodeInfo]]:
        known = NodeInfo(node_id="aaaa", name="web1", clients=3, rate=1.5, lease_age=0.2)
        return succeed((known, NodeInfo(node_id="bbbb", problem="it does not answer")))


class NodesTests(SynchronousTestCase):
    def test_alone(self) -> None:
        """A gateway that is alone has no nodes."""
        self.assertEqual({"nodes": []}, InMemoryApi().get("/nodes"))

    def test_several(self) -> None:
        """What is not known of a node is null."""
        api = InMemoryApi()
        api.root.putChild(b"nodes", NodesResource(api.access, TwoNodes()))
        unknown = dict.fromkeys(("clients", "rate", "lease_age"))
        self.assertEqual(
            {
                "nodes": [
                    {
                        **{"node": "aaaa", "name": "web1", "clients": 3, "rate": 1.5},
                        **{"lease_age": 0.2, "problem": ""},
                    },
                    {"node": "bbbb", "name": "", **unknown, "problem": "it does not answer"},
                ]
            },
            api.get("/nodes"),
        )
        self.assertEqual(400, api.ask("GET", "/nodes?x=1").status)
        self.assertTrue(json.loads(api.ask("GET", "/nodes").body))
