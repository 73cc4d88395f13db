"""Tests for :mod:`phpgw.hub.upstreams`, and for what the dispatcher does with such commands."""

from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from phpgw.hub.commander import Result
from phpgw.hub.commands import Close, Command, Open, Send, Target
from phpgw.hub.dispatch import Dispatcher
from phpgw.hub.registry import Registry
from phpgw.hub.upstreams import UpstreamCommands
from phpgw.metrics import Metrics
from phpgw.time_slices import TimeSlices
from tests.support.fakes import fake_client

_FEED = Target("upstream", ("feed",))


class FakeSockets:
    def __init__(self) -> None:
        self.run_commands: list[Command] = []

    def run(self, command: Command) -> Result:
        self.run_commands.append(command)
        return Result(1)


class UpstreamTests(SynchronousTestCase):
    def setUp(self) -> None:
        clock: Any = Clock()
        self.metrics = Metrics()
        self.upstreams = UpstreamCommands()
        self.registry = Registry()
        self.dispatcher = Dispatcher(
            self.registry, self.metrics, 10, TimeSlices(clock), upstreams=self.upstreams
        )

    def test_none(self) -> None:
        for command in (Send(_FEED, b"x"), Close(_FEED), Open(_FEED)):
            self.assertEqual(Result(0, "upstream not found"), self.dispatcher.run(command))
        self.assertEqual(Result(0, "upstream not found"), self.dispatcher.push(Send(_FEED, b"x")))
        self.assertEqual(0, self.metrics.pushes_delivered["upstream"])

    def test_each_way(self) -> None:
        """By a reply, a push and a batch; no browser gets it."""
        self.upstreams.sockets = sockets = FakeSockets()
        client, connection = fake_client("feed")
        self.registry.add(client)
        commands: list[Command] = [Send(_FEED, b"x"), Open(_FEED, "ws://example.com"), Close(_FEED)]
        for results in (
            self.dispatcher.run_all(commands),
            self.dispatcher.run_batch(commands),
            self.dispatcher.run_batch_at_once(commands),
            [self.dispatcher.run(each) for each in commands],
        ):
            self.assertEqual([Result(1)] * 3, results)
        self.assertEqual(commands * 4, sockets.run_commands)
        self.assertEqual([], connection.sent)
        self.assertEqual(4, self.metrics.commands_run["open"])
        self.dispatcher.push(Send(_FEED, b"x"))
        self.assertEqual(1, self.metrics.pushes_delivered["upstream"])
