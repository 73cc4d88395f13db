"""What becomes of commands that are for so many clients that they are carried out in slices."""

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from phpgw.hub.client import Client
from phpgw.hub.commander import Result
from phpgw.hub.commands import (
    Bind,
    Close,
    Command,
    Join,
    Leave,
    Send,
    SetState,
    Target,
    Unbind,
)
from phpgw.hub.dispatch import Dispatcher
from phpgw.hub.registry import Registry
from phpgw.metrics import Metrics
from phpgw.time_slices import JobsStopped, TimeSlices
from tests.support.fake_clocks import ManualReactor, TickingClock
from tests.support.fakes import FakeConnection, fake_client

NOT_FOUND = "client not found"


class CrowdTestCase(SynchronousTestCase):
    """Six hundred clients, half of them in group even; each look at the clock takes a second.

    Up to twenty messages are sent between two looks.
    """

    count = 600

    def setUp(self) -> None:
        self.turns = ManualReactor()
        self.watch = TickingClock()
        self.metrics = Metrics()
        self.registry = Registry()
        self.slices = TimeSlices(self.turns, 8, self.watch)
        self.dispatcher = Dispatcher(self.registry, self.metrics, 2, self.slices)
        self.clients: list[Client] = []
        self.connections: list[FakeConnection] = []
        for n in range(self.count):
            client, connection = fake_client(str(n))
            self.clients.append(client)
            self.connections.append(connection)
            self.registry.add(client)
            if n % 2 == 0:
                self.registry.join(client, "even")

    def start(self, command: Command, sender: Client | None = None) -> Deferred[Result]:
        """Run one that is for so many that it takes a while."""
        result = self.dispatcher.run(command, sender)
        assert isinstance(result, Deferred)
        self.assertNoResult(result)
        return result

    def start_all(self, *commands: Command) -> Deferred[list[Result]]:
        """Run a list that takes a while."""
        results = self.dispatcher.run_all(commands)
        assert isinstance(results, Deferred)
        self.assertNoResult(results)
        return results

    def reached(self) -> int:
        """How many clients have got something."""
        return sum(bool(connection.sent) for connection in self.connections)


class CrowdTests(CrowdTestCase):
    everybody = Target("all")
    names = tuple(map(str, range(CrowdTestCase.count)))

    def test_large_messages(self) -> None:
        """One of a megabyte takes as long to send as thirty short ones."""
        even = Target("group", ("even",))
        large = Send(even, b"x" * 1_000_000)
        self.assertIsInstance(self.dispatcher.run(Send(even, b"x" * 1000)), Result)
        done = self.start(large)
        self.turns.turn()
        self.assertLess(
            sum(each.sent[-1:] == [(large.message, False)] for each in self.connections), 200
        )
        self.turns.run()
        self.assertEqual(self.successResultOf(done), Result(300))
        one = [Send(Target("client", ("1",)), large.message)]
        self.assertIsInstance(self.dispatcher.run_all(one * 10), list)
        results = self.start_all(*one * 20)
        self.turns.run()
        self.assertEqual(self.successResultOf(results), [Result(1)] * 20)

    def test_in_slices(self) -> None:
        """Whatever is done to many; a turn never has more than its share."""
        for command in (
            Send(self.everybody, b"x"),
            Send(Target("client", self.names), b"x"),
            Send(Target("group", ("even",) * 2), b"x"),
            Join(self.everybody, "new"),
            Send(Target("group", ("new",)), b"x"),
            Leave(self.everybody, "new"),
            Bind(self.everybody, "1"),
            Send(Target("user", ("1",)), b"x"),
            SetState(self.everybody, "x"),
            Unbind(Target("user", ("1",))),
            Close(self.everybody),
        ):
            result = self.start(command)
            longest, before = 0, self.watch.looks
            while self.turns.is_busy:
                self.turns.turn()
                longest = max(longest, self.watch.looks - before)
                before = self.watch.looks
            self.assertLess(longest, 12)
            is_half = command.to.kind == "group" and "even" in command.to.names
            self.assertEqual(
                self.successResultOf(result), Result(self.count // 2 if is_half else self.count)
            )

    def test_as_many_commands(self) -> None:
        """Many commands to one client are as long as one command to many."""
        commands = [Send(Target("client", ("1",)), b"%d" % n) for n in range(self.count)]
        results = self.start_all(*commands)
        self.turns.turn()
        self.assertLess(len(self.connections[1].sent), 120)
        self.turns.run()
        self.assertEqual(self.successResultOf(results), [Result(1)] * self.count)
        sent = [payload for payload, _ in self.connections[1].sent]
        self.assertEqual(sent, [command.message for command in commands])

    def test_group_that_grows_on_the_way(self) -> None:
        """What commands are for is not small because it is yet to become large."""
        names = self.names[:200]
        commands = [Join(Target("client", names), "new")]
        more = [Send(Target("group", ("new",)), b"x")] * 3
        results = self.start_all(*commands, *more)
        self.turns.run()
        self.assertEqual(self.successResultOf(results), [Result(200)] * 4)

    def test_who_leaves_meanwhile(self) -> None:
        """Only those who got it are counted."""
        result = self.start(Send(self.everybody, b"x"))
        self.turns.turn()
        reached = self.reached()
        self.assertTrue(0 < reached < 200)
        for client in self.clients[::3]:
            self.registry.remove(client)
        self.turns.run()
        self.assertEqual(self.successResultOf(result), Result(self.reached()))
        self.assertLess(self.reached(), self.count)

    def test_who_was_named_and_leaves_meanwhile(self) -> None:
        result = self.start(Send(Target("client", self.names), b"x"))
        self.turns.turn()
        self.registry.remove(self.clients[-1])
        self.turns.run()
        self.assertEqual(self.successResultOf(result), Result(self.count - 1, NOT_FOUND))

    def test_whose_id_is_another_s_meanwhile(self) -> None:
        result = self.start(Send(self.everybody, b"x"))
        self.turns.turn()
        self.registry.remove(self.clients[-1])
        heir, connection = fake_client(self.names[-1])
        self.registry.add(heir)
        self.turns.run()
        self.assertEqual(connection.sent, [])
        self.assertEqual(self.successResultOf(result), Result(self.count - 1))

    def test_in_order(self) -> None:
        """Nobody gets the second before the first, or in between what another list sends."""
        results = self.start_all(
            Send(self.everybody, b"1"), Leave(self.everybody, "even"), Send(self.everybody, b"2")
        )
        self.turns.turn()
        self.assertEqual(len(self.registry.groups.members("even")), self.count // 2)
        self.turns.run()
        for connection in self.connections:
            self.assertEqual(connection.sent, [(b"1", False), (b"2", False)])
        self.assertEqual(self.successResultOf(results), [Result(self.count)] * 3)

    def test_small_ones_are_not_held_up(self) -> None:
        self.start_all(*[Send(self.everybody, b"x")] * 150)
        self.turns.turn()
        self.assertEqual(self.dispatcher.run(Send(Target("client", ("9",)), b"y")), Result(1))
        self.assertIn((b"y", False), self.connections[9].sent)
        short = self.start(Leave(self.everybody, "nothing"))
        for _ in range(300):
            self.turns.turn()
        self.assertEqual(self.successResultOf(short), Result(self.count))
        self.assertTrue(self.turns.is_busy)

    def test_except(self) -> None:
        result = self.start(Send(Target("all", (), frozenset(self.names[1:])), b"x"))
        self.turns.run()
        self.assertEqual(self.successResultOf(result), Result(1))
        self.assertEqual(self.reached(), 1)

    def test_groups_with_the_same_clients(self) -> None:
        """Each client once, and what is skipped is counted in time, too."""
        result = self.start(Send(Target("group", ("even",) * 1000), b"x"))
        self.assertGreater(self.turns.run(), 10)
        self.assertEqual(self.successResultOf(result), Result(self.count // 2))
        self.assertEqual([len(each.sent) for each in self.connections[:4]], [1, 0, 1, 0])

    def test_few_among_many(self) -> None:
        """What is for few is done at once, however many there are."""
        for n in (1, 2):
            self.registry.join(self.clients[n], "few")
        self.assertEqual(self.dispatcher.run(Send(Target("group", ("few",)), b"x")), Result(2))

    def test_stop(self) -> None:
        result = self.start(Send(self.everybody, b"x"))
        self.turns.turn()
        self.slices.stop()
        self.failureResultOf(result, JobsStopped)
        self.turns.run()
        self.assertLess(self.reached(), 200)
