"""Tests for :mod:`phpgw.snapshot`."""

import json

import attrs
from twisted.trial.unittest import SynchronousTestCase

from phpgw.labelled_counts import LabelledCounts
from phpgw.metrics import Metrics
from phpgw.snapshot import Snapshot


def snapshot(metrics: Metrics) -> Snapshot:
    """Return the numbers of a process, as they come out of a pipe."""
    return Snapshot.from_json(json.loads(json.dumps(Snapshot.of(metrics).as_json())))


class SnapshotTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.first = Metrics(
            clients_now=3, messages_sent=10, inbox_peak=7, breaker_open_now=1, php_requests=2
        )
        self.first.pushes_delivered = LabelledCounts(client=5)
        self.first.events["server"].count("replied", 0.1, 0.2, 0.3)
        self.second = Metrics(clients_now=4, messages_sent=1, inbox_peak=2, breaker_open_now=1)
        self.second.pushes_delivered = LabelledCounts(client=1, group=2)
        self.second.events["timer"].count("replied", 0.1, None, 0.3)
        self.merged = Snapshot.merge((snapshot(self.first), snapshot(self.second)))

    def test_values(self) -> None:
        """Numbers are added, but a peak is the highest one, and a state is 1 or 0."""
        values = self.merged.values
        self.assertEqual([*self.first.as_dict()], [*values])
        self.assertEqual(
            (7, 11, 8, 7, 1),
            (
                values["clients_now"],
                values["messages_sent"],
                values["pushes_delivered"],
                values["inbox_peak"],
                values["breaker_open_now"],
            ),
        )

    def test_events(self) -> None:
        """Those of all types are added, by outcome and by how long they took."""
        outcomes = {"replied": 2, "failed": 0, "refused": 0, "withdrawn": 0}
        self.assertEqual(outcomes, self.merged.outcomes)
        self.assertEqual((2, 1), (sum(self.merged.waiting), sum(self.merged.php)))

    def test_one(self) -> None:
        own = Snapshot.of(self.first)
        self.assertEqual(own, Snapshot.merge([own]))
        self.assertEqual({}, Snapshot.merge(()).values)

    def test_totals(self) -> None:
        """What is left of a process that has ended is what has only grown."""
        totals = snapshot(self.first).totals()
        self.assertEqual((10, 2), (totals.values["messages_sent"], totals.values["php_requests"]))
        self.assertNotIn("clients_now", totals.values)
        self.assertEqual(1, sum(totals.php))

    def test_unknown(self) -> None:
        """Numbers of a worker with newer code are added."""
        newer = attrs.evolve(snapshot(self.first), values={"new": 1}, outcomes={"late": 2})
        merged = Snapshot.merge([newer, newer])
        self.assertEqual({"new": 2}, merged.values)
        self.assertEqual(4, merged.outcomes["late"])
