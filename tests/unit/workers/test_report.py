"""Tests for :mod:`phpgw.workers.report`."""

import json

from twisted.trial.unittest import SynchronousTestCase

from phpgw.labelled_counts import LabelledCounts
from phpgw.metrics import Metrics
from phpgw.observable import Observable, observable_number
from phpgw.prometheus.exposition import expose
from phpgw.prometheus.figures import OwnFigures, PlainCollector
from phpgw.workers.report import Report


def report(metrics: Metrics, *observables: Observable) -> Report:
    """Return the report of a process, as it comes out of a pipe."""
    figures = OwnFigures(metrics, observables)
    return Report.from_json(json.loads(json.dumps(figures.families())))


def lines(merged: Report) -> list[str]:
    return expose(PlainCollector(merged.families), b"").text.decode().splitlines()


class ReportTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.first = Metrics(
            clients_now=3, messages_sent=10, inbox_peak=7, breaker_open_now=1, php_requests=2
        )
        self.first.pushes_delivered = LabelledCounts(client=5)
        self.first.events["server"].count("replied", 0.1, 0.2, 0.3)
        self.second = Metrics(clients_now=4, messages_sent=1, inbox_peak=2, breaker_open_now=1)
        self.second.pushes_delivered = LabelledCounts(client=1, group=2)
        self.second.events["server"].count("replied", 0.1, 0.2, 0.3)
        self.merged = Report.merge((report(self.first), report(self.second)))

    def test_metrics(self) -> None:
        """So are samples of the same labels, and the buckets of histograms."""
        text = lines(self.merged)
        for line in (
            "phpgw_connections 7.0",
            'phpgw_messages_total{direction="sent"} 11.0',
            'phpgw_pushes_total{outcome="delivered",target="client"} 6.0',
            'phpgw_pushes_total{outcome="delivered",target="group"} 2.0',
            'phpgw_events_total{outcome="replied",type="server"} 2.0',
            'phpgw_php_seconds_count{type="server"} 2.0',
            "phpgw_inbox_peak 7.0",
            "phpgw_breaker_open 1.0",
        ):
            self.assertIn(line, text)

    def test_as_of_one_process(self) -> None:
        """The sum of one report is what the process itself exposes, but for its own numbers."""
        observable = observable_number("groups", "Groups.", lambda: 3)
        alone = expose(OwnFigures(self.first, [observable])._collector, b"").text.decode()
        merged = lines(Report.merge([report(self.first, observable)]))
        wanted = [line for line in alone.splitlines() if "process_" not in line]
        self.assertEqual(wanted, [line for line in merged if "process_" not in line])

    def test_observables(self) -> None:
        """They are merged as they say."""

        def observed(value: float) -> Report:
            numbers: dict[tuple[str, ...], float] = {(): value}
            return report(
                Metrics(),
                Observable(name="a", help="A.", observe=lambda: numbers, merge="min"),
                Observable(name="b", help="B.", observe=lambda: numbers, merge="max"),
            )

        reports = [observed(5), observed(6)]
        text = lines(Report.merge(reports))
        self.assertIn("phpgw_a 5.0", text)
        self.assertIn("phpgw_b 6.0", text)

    def test_process(self) -> None:
        """A gateway started when its oldest process did; their memory and files are added."""
        families = {each["name"]: each for each in report(Metrics()).families}
        merged = {each["name"]: each for each in self.merged.families}
        for name, factor in (("process_start_time_seconds", 1), ("process_max_fds", 2)):
            value = families[name]["samples"][0][2]
            self.assertEqual(factor * value, merged[name]["samples"][0][2])

    def test_totals(self) -> None:
        """What is left of a worker that has ended is what has only grown."""
        totals = report(self.first).totals()
        text = lines(totals)
        self.assertIn('phpgw_messages_total{direction="sent"} 10.0', text)
        self.assertIn('phpgw_php_seconds_count{type="server"} 1.0', text)
        self.assertEqual(
            [],
            [
                line
                for line in text
                if line.startswith(("phpgw_conn", "process")) and "total" not in line
            ],
        )
