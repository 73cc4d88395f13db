"""A gateway's edge in memory: a site that speaks WebSocket, before a relay that takes notes."""

from typing import Any, cast

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import Resource

from phpgw.hub.client import Client, Message
from phpgw.hub.registry import Registry
from phpgw.metrics import Metrics
from phpgw.relay.connect import Admission
from phpgw.web.site import GatewaySite
from phpgw.websocket.client_ids import peer_ids
from phpgw.websocket.connection_limit import ConnectionLimit
from phpgw.websocket.connection_table import ConnectionTable
from phpgw.websocket.handshake import WebSocketResource
from phpgw.websocket.limits import WebSocketLimits
from phpgw.websocket.protocol import GatewayFactory, GatewayProtocol
from phpgw.websocket.request_info import RequestInfo
from phpgw.websocket.subprotocols import Subprotocols
from tests.support.in_memory_browser import InMemoryBrowser


class RecordingRelay:
    """Notes what it is given.

    :ivar received: the messages, each with its client.
    :ivar forgotten: who has left, with code and reason.
    """

    def __init__(self) -> None:
        self.received: list[tuple[Client, Message]] = []
        self.forgotten: list[tuple[Client, int, str]] = []

    def receive(self, client: Client, message: Message) -> None:
        self.received.append((client, message))

    def admit(self, client: Client) -> None:
        """Do nothing."""

    def discard_events(self, client: Client) -> None:
        """Do nothing."""

    def disconnect(self, client: Client, code: int, reason: str) -> None:
        client.is_disconnected = True
        self.forgotten.append((client, code, reason))

    def messages(self) -> list[bytes]:
        """Return the received messages."""
        return [message.payload for _, message in self.received]

    def ends(self) -> list[tuple[int, str]]:
        """Return the close codes and reasons of disconnected clients."""
        return [(code, reason) for _, code, reason in self.forgotten]


class WebSocketSiteTestCase(SynchronousTestCase):
    """A site that speaks WebSocket at /ws."""

    factory_class = GatewayFactory
    subprotocols: Subprotocols | None = None

    def setUp(self) -> None:
        self.clock = Clock()
        self.metrics = Metrics()
        self.registry = Registry()
        self.relay: Any = RecordingRelay()
        self.request_info = RequestInfo()
        self.limit()

    def limit(self, *, connection_limit: ConnectionLimit | None = None, **changes: Any) -> None:
        """Set up anew with these limits."""
        limits: dict[str, Any] = {
            "max_message_size": 1000,
            "max_outbox": 1000,
            "max_unfinished": 10_000,
        }
        self.table = ConnectionTable(
            connection_limit or ConnectionLimit(), self.registry, self.relay, peer_ids()
        )
        self.factory = self.factory_class(
            reactor=self.clock,
            limits=WebSocketLimits(**{**limits, **changes}),
            table=self.table,
            relay=self.relay,
            metrics=self.metrics,
        )
        root = Resource()
        self.websocket = WebSocketResource(
            self.factory, self.request_info, self.admission(), self.metrics, self.subprotocols
        )
        root.putChild(b"ws", self.websocket)
        self.site = GatewaySite(root, 1000, self.clock)

    def admission(self) -> Admission:
        """Return an admission that asks nobody."""
        replies: Any = None
        return Admission(self.relay, replies, asks_php=False)

    def connect(self, peer: Any = None, **headers: str | None) -> InMemoryBrowser:
        """Open a connection."""
        return InMemoryBrowser(self.site, peer).shake_hands(**headers)

    def connection(self) -> GatewayProtocol:
        """The gateway's side of the only connection."""
        [connection] = self.table.connections()
        return cast(GatewayProtocol, connection)
