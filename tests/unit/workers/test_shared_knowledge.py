"""Tests for :mod:`phpgw.workers.shared_knowledge`."""

import json
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from phpgw.web.forwarded import TrustedProxies
from phpgw.web.proxy_detection import ProxyDetector
from phpgw.web.public_probes import PublicProbes
from phpgw.workers.shared_knowledge import SharedKnowledge


class Worker:
    """What one worker knows, and the notes that it has sent."""

    def __init__(self) -> None:
        self.notes: list[dict[str, Any]] = []
        self.knowledge = SharedKnowledge(self.tell)
        self.detector = ProxyDetector(TrustedProxies((), frozenset()))
        self.probes = PublicProbes(Clock().seconds)
        self.knowledge.share_proxied_ports(self.detector)
        self.knowledge.share_probes(self.probes)

    def tell(self, kind: str, *, lasts: bool, note: dict[str, Any]) -> None:
        self.notes.append(json.loads(json.dumps({"lasts": lasts, "note": note})))


class SharedKnowledgeTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.first, self.second = Worker(), Worker()

    def pass_on(self, source: Worker, target: Worker) -> None:
        for each in source.notes:
            target.knowledge.hear(each["note"])

    def test_proxy(self) -> None:
        """A port with a proxy in front has one for all workers, and for those that come later."""
        (observer,) = self.first.detector.observers
        observer(8080)
        self.assertTrue(self.first.notes[0]["lasts"])
        self.pass_on(self.first, self.second)
        self.assertTrue(self.second.detector.is_proxied(8080))
        self.assertEqual([], self.second.notes)

    def test_probe(self) -> None:
        """A probe may come to another worker than that which expects it; both know its report."""
        probe = self.first.probes.expect(3)
        self.pass_on(self.first, self.second)
        there = self.second.probes.find(probe.token)
        assert there is not None
        self.assertEqual((3, None), (there.idle, there.report))
        self.assertTrue(self.second.probes.are_expected)
        self.second.probes.report(there, {"method": "GET"})
        self.pass_on(self.second, self.first)
        self.assertEqual({"method": "GET"}, probe.report)
        self.assertFalse(self.first.probes.are_expected)
        self.assertEqual(1, len(self.first.notes))

    def test_unknown(self) -> None:
        """What is not known any longer, or not yet, is no error."""
        report = {"about": "probe", "token": "x", "idle": 0, "report": {}}
        for note in ({"about": "news"}, report):
            self.second.knowledge.hear(note)
