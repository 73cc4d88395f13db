"""``/pools``: the connection pools."""

import json
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import Resource

from phpgw.api.access import Access
from phpgw.api.pools import PoolsResource
from phpgw.metrics import Metrics
from phpgw.pools.interface import Pools
from phpgw.prometheus.figures import OwnFigures
from tests.support.fakes import REMOTE, Exchange, request
from tests.support.in_memory_api import InMemoryApi


class TwoPools(Pools):
    def as_json(self) -> list[dict[str, Any]]:
        return [{"name": "b"}, {"name": "a"}]


class PoolsTests(SynchronousTestCase):
    def root(self, figures: Any) -> Resource:
        root = Resource()
        root.putChild(b"pools", PoolsResource(Access(None), figures))
        return root

    def test_pools(self) -> None:
        """They are in the order of the options."""
        root = self.root(OwnFigures(Metrics(), (), TwoPools()))
        answer = request(root, "GET", "/pools")
        self.assertEqual({"pools": [{"name": "b"}, {"name": "a"}]}, json.loads(answer.body))

    def test_several_workers(self) -> None:
        """A worker has to ask its parent first."""
        asked: Deferred[Any] = Deferred()

        class Asking:
            def pools(self) -> Deferred[Any]:
                return asked

        exchange = Exchange(self.root(Asking()))
        exchange.send(b"GET /pools HTTP/1.1\r\nHost: localhost\r\n\r\n")
        asked.callback([])
        self.assertEqual({"pools": []}, json.loads(exchange.answer("GET").body))

    def test_none(self) -> None:
        answer = request(InMemoryApi().root, "GET", "/pools")
        self.assertEqual({"pools": []}, json.loads(answer.body))

    def test_stranger(self) -> None:
        self.assertEqual(403, request(self.root(None), "GET", "/pools", peer=REMOTE).status)
