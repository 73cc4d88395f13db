"""PHP's end of the API: a gateway's clients, and all the paths through which PHP reaches them."""

import json
from collections.abc import Iterable
from typing import Any

from twisted.internet.interfaces import IAddress
from twisted.internet.task import Clock
from twisted.web.resource import Resource

from phpgw.api.access import Access, LastingAccess
from phpgw.api.routes import make_api
from phpgw.console.logins import Logins
from phpgw.console.routes import ConsoleResource
from phpgw.feed.recorder import EventRecorder
from phpgw.history.memory import MemoryHistory
from phpgw.history.rules import HistoryRules, parse_pattern_rule
from phpgw.history.writer import HistoryWriter
from phpgw.hub.client import Client
from phpgw.hub.directory import LocalDirectory
from phpgw.hub.dispatch import Dispatcher
from phpgw.hub.nodes import NodeList, NoOtherNodes
from phpgw.hub.registry import Registry
from phpgw.metrics import Metrics
from phpgw.time_slices import TimeSlices
from phpgw.web.expiring_tokens import ExpiringTokens
from phpgw.web.health import HealthResource, ReadinessResource
from tests.support.check_fixture import CheckFixture
from tests.support.fakes import LOCAL, Answer, FakeConnection, identity, request
from tests.support.feed_fixture import FeedFixture
from tests.support.hold_fixture import HoldFixture


class InMemoryApi:
    """The API of a gateway that has no clients yet; groups ``kept-*`` have a history.

    :param token: the one that opens it, if any.
    :param limit: bytes that a request's body may have.
    :param slices: what runs long jobs, in place of a usual one.
    :param recorder: has the last events of clients.
    """

    console: ConsoleResource

    def __init__(
        self,
        token: bytes | None = None,
        limit: int = 10_000,
        clock: Any = None,
        slices: TimeSlices | None = None,
        recorder: EventRecorder | None = None,
    ) -> None:
        self.clock: Any = clock or Clock()
        self.metrics = Metrics()
        self.registry = Registry()
        self.slices = TimeSlices(self.clock) if slices is None else slices
        self.history = MemoryHistory(self.clock, max_bytes=100_000)
        rules = HistoryRules([parse_pattern_rule("kept-*=3,10s")])
        self.dispatcher = Dispatcher(
            self.registry,
            self.metrics,
            max_groups=100,
            slices=self.slices,
            history=HistoryWriter(rules, self.history),
        )
        self.root = Resource()
        self._limit = limit
        self.holding = HoldFixture()
        self.checking = CheckFixture(self.clock)
        self.access = Access(token)
        self.logins = Logins(
            lambda _, lifetime, limit: ExpiringTokens(lifetime, limit, self.clock.seconds),
            self.access,
        )
        self.watching = FeedFixture(
            self.clock, self.metrics, self.registry.groups_of, permits=self.logins.access.permits
        )
        self.logins.sessions.observers.append(self.watching.viewers.close_unpermitted)
        self.recorder = recorder
        self.nodes: NodeList = NoOtherNodes()
        for name, resource in self.resources(self.access).items():
            self.root.putChild(name, resource)

    def resources(self, access: LastingAccess) -> dict[bytes, Resource]:
        """Make the resources of the API, for those who have this access."""
        return make_api(
            self.dispatcher,
            LocalDirectory(self.registry, self.slices),
            self.slices,
            self.holding.control,
            self.checking.context,
            access,
            self.metrics,
            self._limit,
            self.watching.failures.as_list,
            self.watching.viewers,
            self.history,
            self.nodes,
            None if self.recorder is None else self.recorder.records,
        )

    def connect(
        self, client_id: str, *groups: str, user: str | None = None, **changes: Any
    ) -> FakeConnection:
        """Have a client.

        :param changes: of what is known of it.
        """
        connected_at = changes.pop("connected_at", 0.0)
        connection = FakeConnection()
        client = Client(identity(client_id, user=user, **changes), connection, connected_at)
        self.registry.add(client)
        for group in groups:
            self.registry.join(client, group)
        return connection

    def ask(
        self,
        method: str,
        target: str,
        *,
        body: bytes = b"",
        headers: Iterable[tuple[str, str]] = (),
        peer: IAddress = LOCAL,
    ) -> Answer:
        """Make one request."""
        return request(
            self.root, method, target, body=body, headers=headers, limit=self._limit, peer=peer
        )

    def get(self, target: str) -> Any:
        """Return the JSON of a GET that has to succeed."""
        answer = self.ask("GET", target)
        assert answer.status == 200, answer
        assert answer.headers["Content-Type"] == "application/json"
        return json.loads(answer.body)

    def refusal(self, method: str, target: str, **more: Any) -> tuple[int, dict[str, Any]]:
        """Status and content of the answer to a request that has to fail."""
        answer = self.ask(method, target, **more)
        assert answer.status >= 400, answer
        assert answer.headers["Content-Type"] == "application/json"
        return answer.status, json.loads(answer.body)


def with_console(api: InMemoryApi) -> InMemoryApi:
    """Add the web console, which the gateway serves beside the API."""
    url = "http://localhost/websocket.php"
    api.console = ConsoleResource(api.access, api.logins, api.resources, url)
    api.root.putChild(b"console", api.console)
    return api


def with_health(api: InMemoryApi) -> InMemoryApi:
    """Add the health checks, which the gateway serves beside the API."""
    api.root.putChild(b"healthz", HealthResource())
    api.root.putChild(b"readyz", ReadinessResource(()))
    return api
