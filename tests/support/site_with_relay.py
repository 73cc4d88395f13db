"""The edge in memory, before a real relay and a PHP that answers when a test tells it to."""

import json
from typing import Any

from twisted.internet.task import Clock

from phpgw.api.access import Access
from phpgw.api.batch import Batches
from phpgw.api.fast_path import FastPath
from phpgw.hub.client import Client
from phpgw.hub.dispatch import Dispatcher
from phpgw.hub.registry import Registry
from phpgw.metrics import Metrics
from phpgw.relay.connect import Admission
from phpgw.relay.policy import RelayPolicy, ReplyPolicy
from phpgw.relay.relay import Relay
from phpgw.relay.replies import Replies
from phpgw.time_slices import TimeSlices
from phpgw.websocket.request_info import RequestInfo
from tests.support.fake_backend import COMMANDS, FakeBackend
from tests.support.fakes import handshake
from tests.support.in_memory_browser import InMemoryBrowser, request
from tests.support.websocket_site import WebSocketSiteTestCase

ID = "192.0.2.1:5000"


class SiteWithRelayTestCase(WebSocketSiteTestCase):
    """Browsers on one side, PHP on the other.

    :ivar asks_php: whether PHP is asked about handshakes.
    """

    asks_php = True
    concurrency = 4

    def setUp(self) -> None:
        self.clock = Clock()
        self.metrics = Metrics()
        self.registry = Registry()
        self.request_info = RequestInfo()
        self.php = FakeBackend()
        slices = TimeSlices(self.clock)
        self.dispatcher = Dispatcher(self.registry, self.metrics, 10, slices)
        self.replies = Replies(
            self.dispatcher,
            slices,
            ReplyPolicy(max_line=1000),
            self.metrics,
            wall_time=self.clock.seconds,
        )
        self.relay = Relay(
            self.clock,
            self.php,
            self.replies,
            RelayPolicy(
                concurrency=self.concurrency,
                inbox_count=16,
                inbox_size=1000,
                reports_disconnects=True,
                no_client=handshake(),
            ),
            self.metrics,
        )
        self.batches = Batches(self.dispatcher, slices)
        self.fast_path = FastPath(Access(), self.dispatcher, self.batches, 1000, self.metrics)
        self.limit()

    def admission(self) -> Admission:
        return Admission(self.relay, self.replies, asks_php=self.asks_php)

    def come(self) -> InMemoryBrowser:
        """A browser that waits for the answer to its handshake."""
        browser = InMemoryBrowser(self.site)
        browser.send(request())
        return browser

    def command(self, *commands: dict[str, Any]) -> list[Any]:
        """Run commands of the API; their results."""
        text = self.batches.run(json.dumps(commands).encode())
        assert isinstance(text, bytes)
        results: list[Any] = json.loads(text)
        return results

    def reply(self, *commands: dict[str, Any]) -> None:
        """Answer the latest event with these commands."""
        self.php.asked[-1].reply(json.dumps(commands).encode(), media_type=COMMANDS)

    def found(self) -> Client | None:
        """The client, as a push finds it."""
        return self.registry.find(ID)

    def told(self) -> list[tuple[str, bytes]]:
        """Types and messages of all events."""
        return [(asked.event.type, asked.event.message) for asked in self.php.asked]
