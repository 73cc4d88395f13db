"""Several nodes in memory, with clients whose connections are fakes."""

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from phpgw.cluster.frames import SPOKEN, VERSION
from phpgw.cluster.hub import make_cluster_hub
from phpgw.cluster.members import MemberObserver
from phpgw.history.rules import HistoryRules, parse_pattern_rule
from phpgw.hub.client import Client
from phpgw.hub.commander import Result
from phpgw.hub.commands import Command, Send, Target, TargetKind
from phpgw.metrics import Metrics
from phpgw.time_slices import TimeSlices
from tests.support.fakes import FakeConnection, fake_client
from tests.support.memory_bus import MemoryBus, MemoryEngine
from tests.support.memory_history_scripts import add_history_scripts

# Groups kept-* have a history.
_RULES = HistoryRules([parse_pattern_rule("kept-*=3,10s")])


class FixedMembers:
    """Members that change when the test says so; a :class:`phpgw.cluster.members.Members`."""

    def __init__(self, node_id: str, live: set[str]) -> None:
        self.node_id = node_id
        self.live = frozenset(live)
        self.is_in_touch = True
        self.spoken = SPOKEN
        self.version = VERSION
        self.observers: list[MemberObserver] = []

    def leave(self, node_id: str) -> None:
        """Take note that a node has left."""
        self.live -= {node_id}
        for observer in self.observers:
            observer.left(node_id)


class MemoryNode:
    """A node.

    :ivar sent: what each client has received, by its id.
    """

    def __init__(self, engine: MemoryEngine, clock: Any, members: Any) -> None:
        self.members = members
        self.bus = MemoryBus(engine)
        self.metrics = Metrics()
        self.slices = TimeSlices(clock)
        hub = make_cluster_hub(clock, self.bus, members, self.metrics, 2, self.slices, _RULES)
        self.registry = hub.registry
        self.commander = hub.commander
        self.directory = hub.directory
        self.history = hub.history
        self.router = hub.router
        self.exchange = hub.exchange
        self.upstreams = hub.upstreams
        self.leases = hub.leases
        self.exchange.startService()
        self.connections: dict[str, FakeConnection] = {}

    def connect(self, name: str, *groups: str, user: str | None = None) -> Client:
        """Connect a client, whose id begins with that of the node."""
        client, connection = fake_client(f"{self.members.node_id}.{name}")
        self.connections[client.id] = connection
        self.registry.add(client)
        for group in groups:
            self.registry.join(client, group)
        self.registry.bind(client, user)
        return client

    def messages(self, client: Client) -> list[bytes]:
        """What a client has received."""
        return [payload for payload, _ in self.connections[client.id].sent]


class ClusterTestCase(SynchronousTestCase):
    """Three nodes on one engine: ``a``, ``b`` and ``c``, whose ids are ``aaaa`` and so on."""

    names = "abc"

    def setUp(self) -> None:
        self.clock: Any = Clock()
        self.engine = MemoryEngine(self.clock)
        add_history_scripts(self.engine)
        self.nodes = {
            name: MemoryNode(self.engine, self.clock, self.make_members(name))
            for name in self.names
        }
        self.a, self.b, *_ = self.nodes.values()
        self.turn()

    def make_members(self, name: str) -> Any:
        """Return the :class:`phpgw.cluster.members.Members` of a node: here, all that there are."""
        return FixedMembers(name * 4, {each * 4 for each in self.names})

    def turn(self, seconds: float = 0, turns: int = 12) -> None:
        """Let what is under way arrive, also what comes of it after so many seconds."""
        for _ in range(turns):
            self.clock.advance(0)
        if seconds:
            self.clock.advance(seconds)
            self.turn(turns=turns)

    def result(self, running: Any, seconds: float = 0) -> Any:
        """What comes of something, at once or within so many seconds."""
        if not isinstance(running, Deferred):
            return running
        self.turn(seconds)
        return self.successResultOf(running)

    def push(
        self, kind: TargetKind, *names: str, at: MemoryNode | None = None, seconds: float = 0
    ) -> Result:
        """Push ``hello`` from node a, or another one."""
        push = Send(Target(kind, names), b"hello")
        result: Result = self.result((at or self.a).commander.push(push), seconds)
        return result

    def batch(self, *commands: Command, at: MemoryNode | None = None) -> list[Result]:
        """Run a batch at node a, or another one."""
        results: list[Result] = self.result((at or self.a).commander.run_batch(commands))
        return results
