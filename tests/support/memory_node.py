"""Nodes in memory that tell PHP of disconnects, and the engine that they share."""

from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from phpgw.cluster.adoption import Adoption
from phpgw.cluster.ledger import NodeLedger
from phpgw.cluster.membership import Membership
from phpgw.cluster.reported_deaths import ReportedDeaths
from phpgw.hub.client import Client
from phpgw.hub.dispatch import Dispatcher
from phpgw.hub.registry import Registry
from phpgw.metrics import Metrics
from phpgw.relay.policy import RelayPolicy, ReplyPolicy
from phpgw.relay.relay import Relay
from phpgw.relay.replies import Replies
from phpgw.time_slices import TimeSlices
from tests.support.fake_backend import AskedEvent, FakeBackend
from tests.support.fakes import FakeConnection, handshake, identity
from tests.support.memory_bus import MemoryBus, MemoryEngine
from tests.support.memory_scripts import add_scripts


class MemoryNode:
    """A node with clients, a PHP of its own, and a clock that can stop alone.

    :ivar backend: its PHP, which replies at once unless a test wants something else.
    """

    def __init__(self, engine: MemoryEngine) -> None:
        self.clock: Any = Clock()
        self.clock.advance(1_000_000)
        self.bus = MemoryBus(engine)
        self.metrics = Metrics()
        self.registry = Registry()
        self.backend = FakeBackend()
        self.backend.at_once = AskedEvent.reply
        self.membership = Membership(self.clock, self.bus, keeps_id=False)
        self.deaths = ReportedDeaths(self.clock, self.bus, self.membership)
        self.ledger = NodeLedger(self.clock, self.bus, self.membership)
        slices = TimeSlices(self.clock)
        replies = Replies(
            Dispatcher(self.registry, self.metrics, 10, slices),
            slices,
            ReplyPolicy(max_line=1000),
            self.metrics,
            wall_time=self.clock.seconds,
        )
        policy = RelayPolicy(
            concurrency=8,
            inbox_count=4,
            inbox_size=1000,
            reports_disconnects=True,
            no_client=handshake(path=b"/timers"),
        )
        self.relay = Relay(self.clock, self.backend, replies, policy, self.metrics, self.ledger)
        self.adoption = Adoption(
            self.bus, self.membership, self.ledger, self.relay.adopt_disconnect, self.metrics
        )

    def start(self) -> None:
        """Start what is a service."""
        self.membership.startService()
        self.ledger.startService()

    @property
    def id(self) -> str:
        """Return its id as a node."""
        return self.membership.node_id

    def connect(self, name: str, **changes: Any) -> Client:
        """Admit a client, and return it."""
        client = Client(identity(f"{self.id}.{name}", **changes), FakeConnection())
        self.registry.add(client)
        self.relay.admit(client)
        return client

    def disconnect(self, client: Client, code: int = 1001) -> None:
        """Have a client disconnect."""
        self.registry.remove(client)
        self.relay.disconnect(client, code, "")

    def told(self) -> list[str]:
        """Return the clients of whose disconnects PHP was told, in order, without their nodes."""
        return [name.partition(".")[2] for type_, name in self.backend.told()]


class MemoryNodesTestCase(SynchronousTestCase):
    """The clock of the engine, and that of each node, advance together."""

    def setUp(self) -> None:
        self.clock: Any = Clock()
        self.clock.advance(2_000_000)
        self.engine = MemoryEngine(self.clock)
        add_scripts(self.engine)
        self.nodes: list[MemoryNode] = []
        self.stopped: set[MemoryNode] = set()

    def start(self, count: int) -> list[MemoryNode]:
        """Start nodes, and let them know each other."""
        self.nodes += (MemoryNode(self.engine) for _ in range(count))
        for node in self.nodes:
            node.start()
        self.let_pass(4)
        return self.nodes

    def let_pass(self, seconds: float) -> None:
        """Let time pass for all nodes but those that are stopped (SIGSTOP)."""
        for _ in range(round(seconds * 4)):
            self.clock.advance(0.25)
            self.settle()
            for node in self.nodes:
                if node not in self.stopped:
                    node.clock.advance(0.25)
            self.settle()

    def settle(self) -> None:
        """Let all replies of the engine arrive, and what they cause."""
        for _ in range(20):
            self.clock.advance(0)
            for node in self.nodes:
                if node not in self.stopped:
                    node.clock.advance(0)

    def resume(self, node: MemoryNode, seconds: float) -> None:
        """Let a stopped node go on, whose clock has gone on (SIGCONT)."""
        self.stopped.remove(node)
        node.clock.rightNow += seconds

    def told(self) -> list[str]:
        """Return of whose disconnects PHP was told by any node, sorted."""
        return sorted(name for node in self.nodes for name in node.told())
