"""Tests for :mod:`phpgw.outgoing.sockets`."""

import attrs

from phpgw.outgoing.sockets import OutgoingSockets
from phpgw.settings.outgoing_url import parse_named_upstream
from tests.support.outgoing_fixture import FakeEndpoint, OutgoingTestCase


class SocketsTests(OutgoingTestCase):
    def start(self, *names: str) -> OutgoingSockets:
        self.endpoints: list[FakeEndpoint] = []

        def make_endpoint(*_: object) -> FakeEndpoint:
            self.endpoints.append(FakeEndpoint(self.clock))
            return self.endpoints[-1]

        self.context = attrs.evolve(self.context, make_endpoint=make_endpoint)
        upstreams = [parse_named_upstream(f"{name}=ws://example.com/") for name in names]
        sockets = OutgoingSockets(self.context, upstreams)
        sockets.startService()
        return sockets

    def numbers(self, sockets: OutgoingSockets) -> dict[str, object]:
        return {each.name: dict(each.observe()) for each in sockets.observables}

    def test_metrics(self) -> None:
        sockets = self.start("a", "b")
        server = self.endpoints[0].succeed()
        server.accept()
        self.endpoints[1].fail(OSError("no"))
        server.say("x")
        self.last().reply(b"y")
        self.clock.advance(0)
        numbers = self.numbers(sockets)
        self.assertEqual({("a",): 1, ("b",): 0}, numbers["upstream_open"])
        self.assertEqual({(): 1}, numbers["upstream_connections_opened"])
        self.assertEqual({(): 1}, numbers["upstream_connections_failed"])
        self.assertEqual({("received",): 1, ("sent",): 1}, numbers["upstream_messages"])
        self.assertEqual(0, self.metrics.messages_received)
        self.assertEqual(0, self.metrics.clients_now)

    def test_hundred(self) -> None:
        """Each has its own order; while PHP works on one, others do not wait."""
        self.start(*map(str, range(100)))
        servers = [each.succeed() for each in self.endpoints]
        for server in servers:
            server.accept()
        self.assertEqual(8, len(self.backend.asked))
        for number in range(100):
            self.backend.asked[number].reply()
        self.assertEqual({("open", b"")}, {*self.told()})
        self.assertEqual(100, len(self.told()))

    def test_stop(self) -> None:
        """A server that does not answer the close is dropped after a second."""
        sockets = self.start("a", "b")
        server = self.endpoints[0].succeed()
        server.accept()
        stopped = sockets.stopService()
        self.clock.advance(0.9)
        self.assertNoResult(stopped)
        self.clock.advance(0.1)
        self.assertTrue(server.is_aborted)
        self.clock.advance(0)
        self.successResultOf(stopped)
