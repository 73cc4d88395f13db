"""``/stats``: the counters."""

import json

from twisted.internet.interfaces import IAddress
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import Resource

from phpgw.api.access import Access
from phpgw.api.stats import StatsResource
from phpgw.labelled_counts import LabelledCounts
from phpgw.metrics import Metrics
from phpgw.prometheus.figures import OwnFigures
from tests.support.fakes import LOCAL, REMOTE, Answer, request


class StatsTests(SynchronousTestCase):
    def get(self, token: bytes | None = None, peer: IAddress = LOCAL, **headers: str) -> Answer:
        self.metrics = Metrics(clients_now=3, pushes_delivered=LabelledCounts(client=5))
        root = Resource()
        root.putChild(b"stats", StatsResource(Access(token), OwnFigures(self.metrics, ())))
        return request(root, "GET", "/stats", headers=headers.items(), peer=peer)

    def test_counters(self) -> None:
        """Every counter by its name, as JSON."""
        answer = self.get()
        self.assertEqual((200, "application/json"), (answer.status, answer.headers["Content-Type"]))
        counters = json.loads(answer.body)
        self.assertEqual(
            (3, 5, 0),
            tuple(counters[name] for name in ("clients_now", "pushes_delivered", "php_failures")),
        )
        self.assertEqual(self.metrics.as_dict(), counters)

    def test_stranger(self) -> None:
        """They are for those who may push."""
        self.assertEqual(403, self.get(peer=REMOTE).status)
        self.assertEqual(403, self.get(Via="1.1 proxy").status)

    def test_token(self) -> None:
        self.assertEqual(401, self.get(b"s3cret", REMOTE).status)
        answer = self.get(b"s3cret", REMOTE, Authorization="Bearer s3cret")
        self.assertEqual(200, answer.status)
