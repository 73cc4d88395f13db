"""Tests for :mod:`phpgw.cluster.upstream_leases`: several nodes with the same upstreams."""

from typing import Any

from phpgw.cluster.keys import UPSTREAM_FENCES, UPSTREAMS, upstream_lease_key
from phpgw.cluster.upstream_leases import NodeUpstreamLeases
from phpgw.hub.commander import Result
from phpgw.hub.commands import Close, Command, Open, Send, Target
from tests.support.memory_bus import MemoryBus
from tests.support.memory_cluster import ClusterTestCase
from tests.support.memory_scripts import add_scripts


class Holder:
    """What is connected to the upstreams that a node holds.

    :ivar held: the definition and the fence of each.
    :ivar log: each call.
    :ivar run_commands: the commands for them.
    """

    def __init__(self) -> None:
        self.held: dict[str, tuple[str | None, int]] = {}
        self.log: list[str] = []
        self.run_commands: list[Command] = []

    def hold(self, name: str, definition: str | None, fence: int) -> None:
        self.held[name] = definition, fence
        self.log.append(f"hold {name} {fence}")

    def release(self, name: str) -> None:
        del self.held[name]
        self.log.append(f"release {name}")

    def run(self, command: Command) -> Result:
        self.run_commands.append(command)
        return Result(1)


class LeaseTestCase(ClusterTestCase):
    names = "ab"

    def setUp(self) -> None:
        super().setUp()
        add_scripts(self.engine)
        self.holders: dict[str, Holder] = {}

    def start(self, *upstreams: str) -> tuple[Holder, Holder]:
        """Have both nodes compete for these upstreams of the settings."""
        for name, node in self.nodes.items():
            holder = self.holders[name] = Holder()
            node.upstreams.sockets = holder
            node.leases.start(holder, upstreams)
            self.turn()
        first, second = self.holders.values()
        return first, second

    def pass_time(self, seconds: float) -> None:
        for _ in range(round(seconds * 4)):
            self.turn(0.25, turns=3)

    def never_both(self, first: Holder, second: Holder) -> None:
        self.assertEqual(set(), first.held.keys() & second.held.keys())


class HoldTests(LeaseTestCase):
    def test_one_each(self) -> None:
        """Each is held by one node, and nodes that start together have about as many each."""
        first, second = self.start(*map(str, range(10)))
        self.assertEqual((5, 5), (len(first.held), len(second.held)))
        self.never_both(first, second)
        fences = sorted(fence for _, fence in (first.held | second.held).values())
        self.assertEqual([*range(1, 11)], fences)
        self.pass_time(60)
        self.assertEqual((5, 5), (len(first.log), len(second.log)))

    def test_node_dies(self) -> None:
        """The other takes over once the lease has lapsed, with a higher fence."""
        first, second = self.start("feed")
        self.assertEqual({"feed": (None, 1)}, first.held)
        self.stop_loop(self.a.leases)
        self.pass_time(8)
        self.assertEqual({}, second.held)
        self.pass_time(6)
        self.assertEqual({"feed": (None, 2)}, second.held)

    def stop_loop(self, leases: NodeUpstreamLeases) -> None:
        """Let a node do nothing any longer, as if it was killed."""
        leases._checks.stop()

    def test_engine_away(self) -> None:
        """A node that cannot renew ends its connections before the other could take over."""
        first, second = self.start("feed")
        self.bus_of("a").lose()
        self.pass_time(7.5)
        self.assertEqual(["hold feed 1"], first.log)
        for _ in range(40):
            self.pass_time(0.25)
            self.never_both(first, second)
        self.assertEqual(["hold feed 1", "release feed"], first.log)
        self.assertEqual({"feed": (None, 2)}, second.held)

    def bus_of(self, name: str) -> MemoryBus:
        return self.nodes[name].bus

    def test_short_outage(self) -> None:
        """An engine that is away for less than the lease changes nothing."""
        first, _ = self.start("feed")
        self.bus_of("a").lose()
        self.pass_time(5)
        self.bus_of("a").restore()
        self.pass_time(30)
        self.assertEqual(["hold feed 1"], first.log)

    def test_suspended(self) -> None:
        """A node that was stopped for longer releases all as soon as it goes on."""
        first, second = self.start("feed")
        self.stop_loop(self.a.leases)
        self.pass_time(15)
        self.assertEqual({"feed": (None, 2)}, second.held)
        self.a.leases._checks.start(0.5)
        self.assertEqual({}, first.held)
        self.pass_time(10)
        self.assertEqual(["hold feed 1", "release feed"], first.log)

    def test_stop(self) -> None:
        """A node that stops in order gives its leases up at once."""
        first, second = self.start("feed")
        self.a.leases.stop()
        self.pass_time(3.5)
        self.assertEqual({"feed": (None, 2)}, second.held)
        self.assertEqual(["hold feed 1"], first.log)


class DefinitionTests(LeaseTestCase):
    def test_define_and_end(self) -> None:
        first, second = self.start()
        self.assertIsNone(self.b.leases.define("feed", "{1}"))
        self.turn()
        self.assertEqual({"feed": ("{1}", 1)}, second.held)
        self.pass_time(4)
        self.assertEqual(({}, 1), (first.held, self.a.leases.count))
        self.b.leases.end("feed")
        self.pass_time(10)
        self.assertEqual((0, 0), (self.a.leases.count, self.b.leases.count))
        self.assertEqual(["hold feed 1"], second.log)

    def test_survives_its_node(self) -> None:
        """What PHP has opened at one node is opened by the other when that dies."""
        first, _ = self.start()
        self.b.leases.define("feed", "{1}")
        self.turn()
        self.b.leases._checks.stop()
        self.pass_time(14)
        self.assertEqual({"feed": ("{1}", 2)}, first.held)

    def test_changed(self) -> None:
        """The holder is told of a new definition, whichever node has got it."""
        first, second = self.start()
        self.b.leases.define("feed", "{1}")
        self.turn()
        self.a.leases.define("feed", "{2}")
        self.pass_time(4)
        self.assertEqual({"feed": ("{2}", 1)}, second.held)
        self.assertEqual({}, first.held)

    def test_changed_meanwhile(self) -> None:
        """The end of an upstream does not end one that PHP has defined in its place."""
        _, second = self.start()
        self.b.leases.define("feed", "{1}")
        self.turn()
        self.a.leases.define("feed", "{2}")
        self.turn()
        self.b.leases.finished("feed")
        self.pass_time(4)
        self.assertEqual(("{2}", 1), second.held["feed"])
        self.b.leases.finished("feed")
        self.pass_time(4)
        self.assertEqual(0, self.b.leases.count)

    def test_closed_while_the_engine_is_asked(self) -> None:
        """A reply that is older than the close does not open it again."""
        _, second = self.start()
        self.b.leases.define("feed", "{1}")
        self.turn()
        self.b.leases._ask()
        self.b.leases.end("feed")
        self.pass_time(10)
        self.assertEqual(["hold feed 1"], second.log)
        self.b.leases.define("feed", "{1}")
        self.turn()
        self.assertEqual(2, len(second.log))

    def test_names_that_are_used_once(self) -> None:
        """Nothing of them stays in the engine; one that comes again has a higher fence."""
        _, second = self.start()
        for name in ("one", "two", "one"):
            self.b.leases.define(name, "{1}")
            self.turn()
            self.b.leases.end(name)
            self.turn()
        self.assertEqual(["hold one 1", "hold two 2", "hold one 3"], second.log)
        fences = self.result(self.b.bus.call(b"HGETALL", UPSTREAM_FENCES))
        self.assertEqual({b"": b"3"}, dict(fences))

    def test_engine_that_has_lost_its_data(self) -> None:
        """Fences grow all the same: PHP may keep the highest that it has seen."""
        _, second = self.start()
        self.b.leases.define("feed", "{1}")
        self.pass_time(4)
        _, before = second.held["feed"]
        for key in (UPSTREAM_FENCES, UPSTREAMS, upstream_lease_key("feed")):
            self.engine.call(b"DEL", [key])
        self.pass_time(4)
        self.b.leases.define("feed", "{1}")
        self.turn()
        _, fence = second.held["feed"]
        self.assertGreater(fence, before)

    def test_count(self) -> None:
        """It has what PHP has just opened, so that a list of commands cannot exceed a limit."""
        self.start()
        self.b.leases.define("one", "{1}")
        self.b.leases.define("two", "{2}")
        self.assertEqual(2, self.b.leases.count)
        self.turn()
        self.assertEqual(2, self.b.leases.count)
        self.b.leases.define("one", "{3}")
        self.turn()
        self.assertEqual(2, self.b.leases.count)
        self.b.leases.end("one")
        self.turn()
        self.assertEqual(1, self.b.leases.count)

    def test_closed_meanwhile(self) -> None:
        """A close that PHP asks for ends it, whatever was said before."""
        _, second = self.start()
        self.b.leases.define("feed", "{1}")
        self.turn()
        self.a.leases.define("feed", "{2}")
        self.turn()
        self.b.leases.end("feed")
        self.pass_time(10)
        self.assertEqual((["hold feed 1"], 0), (second.log, self.a.leases.count))

    def test_at_once(self) -> None:
        """What PHP says while the engine is asked is not left for the next renewal."""
        _, second = self.start()
        self.b.leases.define("one", "{1}")
        self.b.leases.define("two", "{2}")
        self.turn()
        self.assertEqual({"one", "two"}, second.held.keys())

    def test_of_the_settings(self) -> None:
        """One that was closed is held by nobody, until it is defined again."""
        first, second = self.start("feed")
        self.a.leases.end("feed")
        self.pass_time(20)
        self.assertEqual((1, 0), (len(first.log), len(second.log)))
        self.b.leases.define("feed", None)
        self.turn()
        self.assertEqual({"feed": (None, 2)}, second.held)

    def test_engine_away(self) -> None:
        self.start()
        self.b.bus.lose()
        self.assertTrue(self.b.leases.define("feed", "{1}"))


class CommandTests(LeaseTestCase):
    def test_from_another_node(self) -> None:
        """A command reaches the node that holds the upstream, and its result comes back."""
        first, second = self.start("feed")
        self.turn()
        to = Target("upstream", ("feed",))
        commands: list[Command] = [Send(to, b"x"), Close(to, 4000)]
        self.assertEqual([Result(1), Result(1)], self.batch(*commands, at=self.b))
        self.assertEqual(commands, first.run_commands)
        self.assertEqual(Result(1), self.result(self.b.commander.push(Send(to, b"y"))))
        self.assertEqual(Result(1), self.result(self.a.commander.push(Send(to, b"z"))))
        self.assertEqual([b"x", b"y", b"z"], self.sent(first))
        self.assertEqual([], second.run_commands)

    def sent(self, holder: Holder) -> list[bytes]:
        return [each.message for each in holder.run_commands if isinstance(each, Send)]

    def test_held_by_nobody(self) -> None:
        self.start()
        to = Target("upstream", ("feed",))
        missed = Result(0, "upstream is not open")
        self.assertEqual([missed], self.batch(Send(to, b"x"), at=self.b))
        self.assertEqual(missed, self.result(self.b.commander.push(Send(to, b"x"))))

    def test_open(self) -> None:
        """It is carried out by the node that PHP has asked."""
        _, second = self.start()
        command: Any = Open(Target("upstream", ("feed",)), "ws://example.com/")
        self.assertEqual([Result(1)], self.batch(command, at=self.b))
        self.assertEqual([command], second.run_commands)
