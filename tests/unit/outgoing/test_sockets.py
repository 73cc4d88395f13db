"""Tests for :mod:`phpgw.outgoing.sockets`."""

from collections.abc import Sequence
from typing import Any

import attrs
from twisted.logger import capturedLogs, formatEvent

from phpgw.hub.commander import Result
from phpgw.hub.commands import Close, Join, Open, Send, Target
from phpgw.hub.upstreams import OnlyHolder
from phpgw.outgoing.definitions import write_definition
from phpgw.outgoing.sockets import OutgoingSockets
from phpgw.settings.outgoing_url import AllowedServer, parse_allowed_server, parse_named_upstream
from tests.support.outgoing_fixture import (
    CLOSE,
    TEXT,
    FakeEndpoint,
    FakeServer,
    OutgoingTestCase,
    server_frame,
)


class SocketsTestCase(OutgoingTestCase):
    def start(
        self,
        *names: str,
        allowed: Sequence[AllowedServer] = (),
        leases: OnlyHolder | None = None,
    ) -> OutgoingSockets:
        self.endpoints: list[FakeEndpoint] = []

        def make_endpoint(_: object) -> FakeEndpoint:
            self.endpoints.append(FakeEndpoint(self.clock))
            return self.endpoints[-1]

        self.context = attrs.evolve(self.context, make_endpoint=make_endpoint)
        upstreams = [parse_named_upstream(f"{name}=ws://example.com/") for name in names]
        count = 3 if allowed else 100
        sockets = OutgoingSockets(self.context, upstreams, allowed, count, leases)
        sockets.startService()
        return sockets


class SocketsTests(SocketsTestCase):
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


class OtherGatewayTests(SocketsTestCase):
    def test_not_allowed_here(self) -> None:
        """What another gateway has opened is not opened if it is not allowed; PHP can close it."""
        leases = OnlyHolder()
        sockets = self.start(leases=leases)
        to = Target("upstream", ("feed",))
        with capturedLogs() as events:
            leases.define("feed", write_definition(Open(to, "wss://example.com/?s3cret")))
        self.assertEqual([], self.endpoints)
        [line] = [formatEvent(event) for event in events]
        self.assertIn("wss://example.com:443 is not allowed (--allow-upstream)", line)
        self.assertNotIn("s3cret", line)
        self.assertEqual(Result(1), sockets.run(Close(to)))
        self.assertEqual(0, leases.count)
        self.assertEqual(Result(0, "upstream not found"), sockets.run(Close(to)))


class CommandTests(SocketsTestCase):
    def setUp(self) -> None:
        super().setUp()
        allowed = [parse_allowed_server("wss://example.com"), parse_allowed_server("10.0.0.0/8")]
        self.sockets = self.start("named", allowed=allowed)

    def open(self, name: str = "feed", url: str | None = "wss://example.com/x", **more: Any) -> Any:
        to = Target("upstream", (name,))
        result = self.sockets.run(Open(to, url, **more))
        return result.error if result.error is not None else result

    def send(self, name: str, text: bytes) -> Result:
        return self.sockets.run(Send(Target("upstream", (name,)), text))

    def close(self, name: str) -> Result:
        return self.sockets.run(Close(Target("upstream", (name,)), 4000, "done"))

    def accepted(self, number: int) -> FakeServer:
        """Open the connection of the nth upstream; PHP replies to the event."""
        server = self.endpoints[number].succeed()
        server.accept()
        self.last().reply()
        return server

    def test_open_send_close(self) -> None:
        self.assertEqual(Result(0, "upstream not found"), self.send("feed", b"x"))
        self.assertEqual(Result(1), self.open(headers=(("X-Token", "s3cret"),)))
        self.assertEqual(Result(0, "upstream is not open"), self.send("feed", b"x"))
        server = self.endpoints[1].succeed()
        self.assertEqual("s3cret", server.request()[1]["X-Token"])
        server.accept()
        self.last().reply()
        self.assertEqual(Result(1), self.send("feed", b"hello"))
        self.assertEqual([(TEXT, b"hello")], server.frames())
        self.assertEqual(Result(1), self.close("feed"))
        self.assertEqual([(CLOSE, b"\x0f\xa0done")], server.frames())
        self.assertEqual(Result(0, "upstream is not open"), self.send("feed", b"x"))
        server.send(server_frame(CLOSE, b"\x0f\xa0done"))
        self.clock.advance(0)
        self.assertEqual(("close", b"done"), self.told()[-1])
        self.last().reply()
        self.assertEqual({"named": False}, self.sockets.states())
        self.clock.advance(100)
        self.assertEqual(1, self.endpoints[1].attempts)

    def test_not_allowed(self) -> None:
        """Only the scheme, the name and the port that are named; no way around."""
        for url in (
            *("ws://example.com/", "wss://example.com:444/", "wss://www.example.com/"),
            *("wss://example.com./", "wss://example.com.evil.net/", "wss://evil.net/?example.com"),
            *("wss://evil.net/wss://example.com", "ws://10.0.0.1/", "ws://127.0.0.1/"),
        ):
            self.assertIn("is not allowed (--allow-upstream)", self.open(url=url), url)
        for url in (
            *("https://example.com/", "", "wss://example.com@evil.net/", "file:///etc/passwd"),
            *("wss://evil.net#@example.com/", "wss://example.com/\r\nHost: evil.net", "//x"),
            *("wss://example.com/ HTTP/1.1", "wss://exam\u212aple.com/", "wss://example.com\\@x/"),
        ):
            self.assertTrue(self.open(url=url).startswith("url: "), url)
        self.assertEqual(1, len(self.endpoints))

    def test_headers(self) -> None:
        for headers in ((("X", "a\r\nHost: evil"),), (("Host", "evil"),), (("X", "a"),) * 40):
            self.assertTrue(self.open(headers=headers).startswith("headers: "), headers)
        self.assertEqual(1, len(self.endpoints))

    def test_again(self) -> None:
        """To open what is open already changes nothing."""
        self.open()
        server = self.accepted(1)
        self.assertEqual(Result(1), self.open())
        self.assertEqual([], server.frames())
        self.assertEqual(1, self.endpoints[1].attempts)

    def test_other_server(self) -> None:
        """One of the same name takes the place of the first, once PHP knows that it has closed."""
        self.open()
        server = self.accepted(1)
        self.assertEqual(Result(1), self.open(url="wss://example.com/y"))
        [(opcode, payload)] = server.frames()
        self.assertEqual((CLOSE, b"replaced by another server"), (opcode, payload[2:]))
        server.send(server_frame(CLOSE, payload))
        self.clock.advance(1)
        self.assertEqual(2, len(self.endpoints) - 1)
        self.assertEqual(0, self.endpoints[2].attempts)
        self.last().reply()
        self.clock.advance(1)
        second = self.endpoints[2].succeed()
        self.assertEqual("GET /y HTTP/1.1", second.request()[0])

    def test_other_server_while_connecting(self) -> None:
        self.open()
        self.open(url="wss://example.com/y")
        self.clock.advance(1)
        self.assertEqual(1, self.endpoints[2].attempts)
        self.assertEqual(0, self.sockets._context.counts.failures)

    def test_other_server_during_the_handshake(self) -> None:
        """The first one is not to blame, and PHP is told of nothing."""
        self.open(reconnects=False)
        server = self.endpoints[1].succeed()
        self.open(url="wss://example.com/y", reconnects=False)
        self.assertTrue(server.is_aborted)
        self.clock.advance(0)
        self.clock.advance(1)
        self.assertEqual(1, self.endpoints[2].attempts)
        self.assertEqual([], self.told())
        self.assertEqual(0, self.sockets._context.counts.failures)

    def test_once(self) -> None:
        """With reconnect false, PHP gets the close, and may name another server in its reply."""
        self.open(reconnects=False)
        server = self.accepted(1)
        server.lose()
        self.assertEqual(("close", b""), self.told()[-1])
        self.assertEqual(Result(1), self.open(url="wss://example.com/new", reconnects=False))
        self.last().reply()
        self.clock.advance(1)
        second = self.endpoints[2].succeed()
        self.assertEqual("GET /new HTTP/1.1", second.request()[0])
        second.accept()
        self.last().reply()
        second.lose()
        self.last().reply()
        self.clock.advance(100)
        self.assertEqual({"named": False}, self.sockets.states())

    def test_once_in_place_of_another(self) -> None:
        """One with reconnect false takes the place of one that is open, too."""
        self.open(reconnects=False)
        server = self.accepted(1)
        self.assertEqual(Result(1), self.open(url="wss://example.com/y", reconnects=False))
        server.lose()
        self.assertEqual(("close", b"replaced by another server"), self.told()[-1])
        self.last().reply()
        self.clock.advance(1)
        self.assertEqual("GET /y HTTP/1.1", self.endpoints[2].succeed().request()[0])

    def test_once_in_place_of_another_while_connecting(self) -> None:
        self.open()
        self.open(url="wss://example.com/y", reconnects=False)
        self.clock.advance(1)
        self.assertEqual([], self.told())
        self.assertEqual(1, self.endpoints[2].attempts)

    def test_once_closed_and_opened_again(self) -> None:
        """What PHP opens again while it still closes is opened once it has closed."""
        self.open(reconnects=False)
        server = self.accepted(1)
        self.close("feed")
        self.assertEqual(Result(1), self.open(reconnects=False))
        server.lose()
        self.last().reply()
        self.clock.advance(1)
        self.assertEqual(1, self.endpoints[2].attempts)

    def test_other_server_when_the_next_attempt_is_due(self) -> None:
        """There is one connection, however long PHP has taken to name another server."""
        self.open()
        self.accepted(1).lose()
        self.clock.advance(5)
        self.assertEqual(Result(1), self.open(url="wss://example.com/y"))
        self.last().reply()
        second = self.endpoints[2].succeed()
        second.accept()
        self.last().reply()
        self.clock.advance(100)
        self.assertEqual(1, self.endpoints[2].attempts)

    def test_once_and_not_reached(self) -> None:
        """PHP is told that the only attempt has failed."""
        self.open(reconnects=False)
        self.endpoints[1].fail(OSError("no route"))
        self.assertEqual(("close", b"no route"), self.told()[-1])
        self.assertEqual(1006, self.last().event.code)
        self.last().reply()
        self.clock.advance(1)
        self.assertEqual({"named": False}, self.sockets.states())

    def test_once_again_and_again(self) -> None:
        """There is a pause before each attempt, however PHP opens it again; they grow."""
        self.open(reconnects=False)
        attempts = 0
        for number, pause in enumerate((1, 2, 4), 1):
            self.endpoints[number].fail(OSError("no route"))
            self.last().reply()
            self.open(url=f"wss://example.com/{number}", reconnects=False)
            self.clock.advance(pause - 0.01)
            self.assertEqual(0, self.endpoints[number + 1].attempts)
            self.clock.advance(0.01)
            attempts += self.endpoints[number + 1].attempts
        self.assertEqual(3, attempts)

    def test_once_and_slow_php(self) -> None:
        """It is forgotten once PHP has been told, however long that takes."""
        self.open(reconnects=False)
        self.endpoints[1].fail(OSError("no route"))
        self.clock.advance(5)
        self.last().reply()
        self.assertEqual({"named": False}, self.sockets.states())
        self.clock.advance(100)
        self.assertEqual(1, self.endpoints[1].attempts)

    def test_of_the_settings(self) -> None:
        """It can be closed, and opened again by its name alone."""
        server = self.accepted(0)
        self.assertIn("--upstream has given this", self.open("named"))
        self.close("named")
        server.lose()
        self.last().reply()
        self.clock.advance(100)
        self.assertEqual(1, self.endpoints[0].attempts)
        self.assertEqual(Result(1), self.open("named", None))
        self.assertEqual(1, self.endpoints[1].attempts)
        self.assertIn("it is missing", self.open("other", None))

    def test_too_many(self) -> None:
        self.assertEqual([Result(1)] * 2, [self.open("a"), self.open("b")])
        self.assertIn("--max-upstreams", self.open("c"))
        self.close("a")
        self.assertEqual(Result(1), self.open("c"))

    def test_too_many_that_close(self) -> None:
        """What a server has sent waits for PHP, also once PHP has closed the connection."""
        for number, name in enumerate("ab", 1):
            self.open(name)
            server = self.accepted(number)
            server.say("1", "2")
            self.close(name)
            server.lose()
        self.assertIn("--max-upstreams", self.open("c"))
        for _ in range(3):
            self.last().reply()
        self.assertEqual(Result(1), self.open("c"))

    def test_stopping(self) -> None:
        self.sockets.stopService()
        self.assertEqual("the gateway stops", self.open())

    def test_other_commands(self) -> None:
        result = self.sockets.run(Join(Target("upstream", ("named",)), "g"))
        self.assertEqual(0, result.delivered)
        missing = self.sockets.run(Send(Target("upstream", (), problem="no name"), b""))
        self.assertEqual(Result(0, "no name"), missing)
