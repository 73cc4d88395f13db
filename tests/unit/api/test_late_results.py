"""The API with a commander and a directory whose results come later, as over a bus."""

import json
from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import Resource

from phpgw.api.access import Access
from phpgw.api.routes import make_api
from phpgw.history.interface import Position
from phpgw.history.memory import MemoryHistory
from phpgw.hub.client import Client
from phpgw.hub.commander import Result
from phpgw.hub.commands import Command
from phpgw.hub.directory import ClientInfo, Kind, LocalDirectory, NameCount, Page, PageQuery
from phpgw.hub.dispatch import Dispatcher
from phpgw.hub.nodes import NoOtherNodes
from phpgw.hub.registry import Registry
from phpgw.metrics import Metrics
from phpgw.time_slices import TimeSlices
from tests.support.check_fixture import CheckFixture
from tests.support.fakes import Exchange, fake_client, request_head
from tests.support.feed_fixture import FeedFixture
from tests.support.hold_fixture import HoldFixture


class _Later:
    """Holds results back.

    :ivar waiting: those that wait, with what is to be returned.
    """

    def __init__(self) -> None:
        self.waiting: list[tuple[Deferred[Any], Any]] = []

    def hold(self, value: Any) -> Deferred[Any]:
        later: Deferred[Any] = Deferred()
        self.waiting.append((later, value))
        return later

    def release(self) -> None:
        while self.waiting:
            later, value = self.waiting.pop(0)
            later.callback(value)


class _LateCommander(Dispatcher):
    later: _Later

    def run(self, command: Command, sender: Client | None = None) -> Deferred[Result]:
        return self.later.hold(super().run(command, sender))

    def run_batch(self, commands: Sequence[Command]) -> Deferred[list[Result]]:
        return self.later.hold(super().run_batch_at_once(commands))

    def run_batch_at_once(self, commands: Sequence[Command]) -> None:
        return None


class _LateDirectory(LocalDirectory):
    later: _Later

    def find(self, client_id: str) -> Deferred[ClientInfo | None]:
        return self.later.hold(super().find(client_id))

    def clients(
        self,
        query: PageQuery,
        group: str | None = None,
        user: str | None = None,
        search: str = "",
    ) -> Deferred[Page[ClientInfo]]:
        return self.later.hold(super().clients(query, group, user, search))

    def names(self, query: PageQuery, kind: Kind, search: str = "") -> Deferred[Page[NameCount]]:
        return self.later.hold(super().names(query, kind, search))


class _LateHistory(MemoryHistory):
    later: _Later

    def after(self, group: str, position: Position, limit: int) -> Any:
        return self.later.hold(super().after(group, position, limit))

    def last(self, group: str, limit: int) -> Any:
        return self.later.hold(super().last(group, limit))


class LateResultTests(SynchronousTestCase):
    def setUp(self) -> None:
        registry, self.metrics, slices = Registry(), Metrics(), TimeSlices(Clock())
        client, self.connection = fake_client("a")
        registry.add(client)
        registry.join(client, "room")
        self.later = _Later()
        commander = _LateCommander(registry, self.metrics, 10, slices)
        directory = _LateDirectory(registry, slices)
        history = _LateHistory(Clock(), max_bytes=10_000)
        commander.later = directory.later = history.later = self.later
        hold = HoldFixture().control
        feed = FeedFixture(Clock())
        self.root = Resource()
        for name, resource in make_api(
            commander,
            directory,
            slices,
            hold,
            CheckFixture().context,
            Access(),
            self.metrics,
            1000,
            feed.failures.as_list,
            feed.viewers,
            history,
            NoOtherNodes(),
        ).items():
            self.root.putChild(name, resource)

    def ask(self, method: str, target: str, body: bytes = b"") -> tuple[int, bytes]:
        """Make a request whose response comes later."""
        exchange = Exchange(self.root)
        exchange.send(request_head(method, target, (), len(body)) + body)
        self.assertEqual(exchange.transport.value(), b"")
        self.later.release()
        response = exchange.answer(method)
        return response.status, response.body

    def test_pushes(self) -> None:
        self.assertEqual(self.ask("POST", "/send?client_id=a&message=x"), (200, b"Message sent"))
        self.assertEqual(self.connection.sent, [(b"x", False)])
        self.assertEqual(self.ask("POST", "/send?client_id=z&message=x")[0], 404)
        metrics = self.metrics
        self.assertEqual((metrics.pushes_delivered.total(), metrics.pushes_refused.total()), (1, 1))

    def test_batch(self) -> None:
        status, body = self.ask("POST", "/commands", b'[{"op":"unbind","to":{"client":"a"}}]')
        self.assertEqual((status, json.loads(body)), (200, [{"delivered": 1}]))
        self.assertEqual(self.metrics.pushes_delivered.total(), 1)

    def test_close(self) -> None:
        self.assertEqual(self.ask("DELETE", "/clients/a?code=4000"), (204, b""))
        self.assertEqual(self.connection.closed, (4000, ""))
        self.assertEqual(self.ask("DELETE", "/clients/z")[0], 404)

    def test_pages(self) -> None:
        for target, name in (
            ("/clients", "clients"),
            ("/groups", "groups"),
            ("/groups/room", "clients"),
        ):
            status, body = self.ask("GET", target)
            self.assertEqual((status, len(json.loads(body)[name])), (200, 1))
        self.assertEqual(self.ask("GET", "/users/z")[0], 404)

    def test_history(self) -> None:
        for query in ("limit=0", "after=0&epoch=x"):
            status, body = self.ask("GET", f"/groups/room/history?{query}")
            self.assertEqual((status, json.loads(body)["messages"]), (200, []))

    def test_client(self) -> None:
        self.assertEqual(json.loads(self.ask("GET", "/clients/a")[1])["client_id"], "a")
        self.assertEqual(self.ask("GET", "/clients/z")[0], 404)
