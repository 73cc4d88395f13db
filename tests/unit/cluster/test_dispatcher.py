"""What becomes of commands for the clients of several nodes."""

from twisted.internet.defer import Deferred
from twisted.logger import LogLevel, capturedLogs

from phpgw.cluster.exchange import NotAnswered
from phpgw.hub.commander import Result
from phpgw.hub.commands import Bind, Close, Command, Join, Leave, Send, SetState, Target, Unbind
from tests.support.memory_cluster import ClusterTestCase

NOT_FOUND = Result(0, "client not found")


class PushTests(ClusterTestCase):
    def test_client_of_another_node(self) -> None:
        """It gets the message, in one hop, and the result is true."""
        client = self.b.connect("1")
        self.assertEqual(Result(1), self.push("client", client.id))
        self.assertEqual([b"hello"], self.b.messages(client))
        self.assertEqual(2, len(self.engine.published))

    def test_own_client(self) -> None:
        """The bus is not used."""
        client = self.a.connect("1")
        self.assertEqual(Result(1), self.push("client", client.id))
        self.assertEqual([], self.engine.published)

    def test_client_that_is_nowhere(self) -> None:
        for client_id in ("bbbb.1", "dddd.1", "aaaa.1", "x", ""):
            self.assertEqual(NOT_FOUND, self.push("client", client_id), client_id)

    def test_clients_of_all_nodes(self) -> None:
        """Each gets it once; that one is missing is told."""
        clients = [node.connect(n) for node in self.nodes.values() for n in "12"]
        ids = [client.id for client in clients]
        self.assertEqual(Result(6), self.push("client", *ids, *ids))
        self.assertEqual(Result(6, "client not found"), self.push("client", *ids, "bbbb.3"))
        for client in clients:
            node = self.nodes[client.id[0]]
            self.assertEqual([b"hello"] * 2, node.messages(client))

    def test_group_user_all(self) -> None:
        """The result is the sum of all nodes, and nobody gets it twice."""
        self.a.connect("1", "g", user="u")
        self.b.connect("1", "g", "h", user="u")
        self.b.connect("2", "g")
        self.nodes["c"].connect("1", "h")
        self.turn()
        for node in self.nodes.values():
            self.assertEqual(Result(3), self.push("group", "g", at=node))
            self.assertEqual(Result(2), self.push("user", "u", at=node))
            self.assertEqual(Result(4), self.push("all", at=node))
            self.assertEqual(Result(4), self.push("group", "g", "h", at=node))
        [one] = [client for client in self.b.registry.clients() if client.id == "bbbb.1"]
        self.assertEqual(12, len(self.b.messages(one)))

    def test_nobody(self) -> None:
        """A group that is nowhere is known to be nowhere."""
        self.assertEqual(Result(0), self.push("group", "g"))
        self.assertEqual(Result(0), self.push("user", "u"))

    def test_excluded(self) -> None:
        """Clients of other nodes can be excluded, too."""
        one, two = self.a.connect("1", "g"), self.b.connect("1", "g")
        self.turn()
        send = Send(Target("group", ("g",), frozenset((one.id, two.id))), b"x")
        self.assertEqual([Result(0)], self.batch(send))

    def test_counted(self) -> None:
        """A push is counted where it was made, once."""
        client = self.b.connect("1", "g")
        self.turn()
        self.push("client", client.id)
        self.push("group", "g")
        self.push("group", "h")
        self.assertEqual(2, self.a.metrics.pushes_delivered.total())
        self.assertEqual(0, self.b.metrics.pushes_delivered.total())


class UnknownTests(ClusterTestCase):
    """What is not known is not said to be known."""

    def assert_unknown(self, result: Result, delivered: int, *words: str) -> None:
        self.assertEqual(delivered, result.delivered)
        self.assertTrue(result.is_unknown)
        assert result.error is not None
        for word in words:
            self.assertIn(word, result.error)

    def test_question_that_is_not_understood(self) -> None:
        """Commands that are none are logged in a line, without what is in them, and refused."""
        for arguments in ([], [1], [["all"]], [[["fly", "all", [], []]]]):
            with capturedLogs() as logs:
                asked = self.a.exchange.ask("bbbb", "run", arguments)
                self.turn()
            self.failureResultOf(asked, NotAnswered)
            [line] = logs
            self.assertEqual((LogLevel.warn, "run"), (line["log_level"], line["operation"]))
            self.assertNotIn("log_failure", line)

    def test_node_that_hangs(self) -> None:
        """Within 1.1 s, the result names it."""
        client = self.b.connect("1", "g")
        self.a.connect("1", "g")
        self.nodes["c"].connect("1", "g")
        self.turn()
        self.b.bus.is_deaf = True
        running = self.a.commander.push(Send(Target("client", (client.id,)), b"x"))
        for_group = self.a.commander.push(Send(Target("group", ("g",)), b"x"))
        for _ in range(9):
            self.turn(0.1)
        self.assertNoResult(running)
        self.turn(0.2)
        self.assert_unknown(self.result(running), 0, "node bbbb does not answer")
        self.assert_unknown(self.result(for_group), 2, "node bbbb does not answer")

    def test_node_that_is_cut_off(self) -> None:
        """As long as it has a lease, its clients may be there."""
        client = self.b.connect("1", "g")
        self.turn()
        self.b.bus.lose()
        self.assert_unknown(self.push("client", client.id), 0, "bbbb")
        self.assert_unknown(self.push("group", "g"), 0, "bbbb")
        self.a.members.leave("bbbb")
        self.assertEqual(NOT_FOUND, self.push("client", client.id))
        self.assertEqual(Result(0), self.push("group", "g"))

    def test_engine_away(self) -> None:
        """Clients here are served, and those of other nodes are unknown."""
        here, there = self.a.connect("1", "g"), self.b.connect("1", "g")
        self.turn()
        self.a.bus.lose("Connection refused")
        self.assertEqual(Result(1), self.push("client", here.id))
        self.assert_unknown(self.push("client", there.id), 0, "Connection refused")
        self.assert_unknown(self.push("group", "g"), 1, "Connection refused")

    def test_engine_lost_meanwhile(self) -> None:
        """What was asked and not answered yet is unknown at once."""
        client = self.b.connect("1")
        self.b.bus.is_deaf = True
        running = self.a.commander.push(Send(Target("client", (client.id,)), b"x"))
        self.turn()
        self.a.bus.lose("Connection lost")
        self.assert_unknown(self.result(running), 0, "Connection lost")

    def test_spy(self) -> None:
        """Somebody else who is subscribed changes no result, and costs a fence."""
        self.engine.spies = 1
        client = self.b.connect("1", "g")
        self.turn()
        self.assertEqual(Result(1), self.push("client", client.id))
        self.assertEqual(Result(1), self.push("group", "g", seconds=0.11))
        self.assertEqual(Result(0), self.push("group", "h", seconds=0.11))

    def test_node_gone_while_it_is_asked(self) -> None:
        client = self.b.connect("1")
        self.b.bus.is_deaf = True
        running = self.a.commander.push(Send(Target("client", (client.id,)), b"x"))
        self.turn()
        self.a.members.leave("bbbb")
        self.assertEqual(NOT_FOUND, self.result(running))


class BatchTests(ClusterTestCase):
    def test_all_commands_on_another_node(self) -> None:
        client = self.b.connect("1", "g")
        to = Target("client", (client.id,))
        results = self.batch(
            Join(to, "h"),
            Leave(to, "g"),
            Bind(to, "u"),
            SetState(to, "s"),
            Send(to, b"\xff", is_binary=True),
            Close(to, 4000, "bye"),
        )
        self.assertEqual([Result(1)] * 6, results)
        self.assertEqual(
            ({"h"}, "u", "s"), (client.groups, client.identity.user, client.identity.state)
        )
        self.assertEqual([(b"\xff", True)], self.b.connections[client.id].sent)
        self.assertEqual((4000, "bye"), self.b.connections[client.id].closed)
        self.assertEqual([Result(1)], self.batch(Unbind(to)))
        self.assertIsNone(client.identity.user)

    def test_name_and_use_it(self) -> None:
        """What binds a client of another node is done before what follows is published."""
        for latency in (0.0, 0.01):
            self.b.bus.latency = latency
            client = self.b.connect(f"x{latency}")
            bind = Bind(Target("client", (client.id,)), f"u{latency}")
            send = Send(Target("user", (f"u{latency}",)), b"hello")
            running = self.a.commander.run_batch([bind, send])
            for _ in range(10):
                self.turn(0.01)
            self.assertEqual([Result(1), Result(1)], self.result(running))
            self.assertEqual([b"hello"], self.b.messages(client))

    def test_name_is_found_everywhere_once_answered(self) -> None:
        """A join is answered when the subscription is in force, here and on another node."""
        for node in (self.a, self.b):
            client = node.connect("1")
            join = Join(Target("client", (client.id,)), "g")
            self.assertEqual([Result(1)], self.batch(join))
            self.assertEqual(Result(1), self.push("group", "g", at=self.nodes["c"]))
            self.batch(Leave(Target("client", (client.id,)), "g"))

    def test_join_without_engine(self) -> None:
        """It is done here, and the result says that others may not see it."""
        client = self.a.connect("1")
        self.a.bus.lose()
        [result] = self.batch(Join(Target("client", (client.id,)), "g"))
        self.assertEqual((1, True), (result.delivered, result.is_unknown))
        self.assertEqual({"g"}, client.groups)
        self.a.bus.restore()
        self.turn()
        self.assertEqual(Result(1), self.push("group", "g", at=self.b))

    def test_error_of_another_node(self) -> None:
        """It is the one that this node would give."""
        client = self.b.connect("1", "g", "h")
        [result] = self.batch(Join(Target("client", (client.id,)), "i"))
        self.assertEqual("a client may be in 2 groups at most (--max-groups)", result.error)

    def test_order(self) -> None:
        """The messages of a list come in its order, however they are addressed."""
        client = self.b.connect("1", "g", "h", user="u")
        self.turn()
        targets = [
            Target("client", (client.id,)),
            Target("group", ("g",)),
            Target("group", ("h", "x")),
            Target("user", ("u",)),
            Target("all"),
        ]
        sends = [Send(targets[n % 5], b"%d" % n) for n in range(1000)]
        running = self.a.commander.run_batch(sends)
        self.turn(turns=200)
        self.assertEqual([Result(1)] * 1000, self.result(running))
        self.assertEqual([b"%d" % n for n in range(1000)], self.b.messages(client))

    def test_order_after_a_long_job(self) -> None:
        """What follows a message to many clients does not overtake it on another node."""
        clients = [self.b.connect(str(n)) for n in range(1000)]
        self.turn()
        sends = [Send(Target("all"), b"1"), Send(Target("client", (clients[-1].id,)), b"2")]
        running = self.a.commander.run_batch(sends)
        self.turn(turns=200)
        self.assertEqual([Result(1000), Result(1)], self.result(running))
        self.assertEqual([b"1", b"2"], self.b.messages(clients[-1]))


class ReplyTests(ClusterTestCase):
    def test_not_waited_for(self) -> None:
        """A node that hangs does not stop the clients of another one."""
        sender = self.a.connect("1")
        client = self.b.connect("1", "g")
        self.turn()
        self.b.bus.is_deaf = True
        commands: list[Command] = [
            Send(Target("group", ("g",)), b"x"),
            Send(Target("client", (client.id,)), b"x"),
            Close(Target("client", (client.id,))),
            Send(Target("sender"), b"mine"),
        ]
        results = self.a.commander.run_all(commands, sender)
        self.assertEqual([Result(0), Result(0), Result(0), Result(1)], self.result(results))
        self.assertEqual([b"mine"], self.a.messages(sender))

    def test_delivered(self) -> None:
        sender = self.a.connect("1", "g")
        client = self.b.connect("1", "g")
        self.turn()
        running = self.a.commander.run_all([Send(Target("group", ("g",)), b"x")], sender)
        self.assertEqual([Result(1)], self.result(running))
        self.assertEqual([b"x"], self.b.messages(client))

    def test_barrier(self) -> None:
        """What names a client of another node is waited for, so that it can be used."""
        sender = self.a.connect("1")
        client = self.b.connect("1")
        commands: list[Command] = [
            Join(Target("client", (client.id,)), "g"),
            Send(Target("group", ("g",)), b"welcome"),
        ]
        running = self.a.commander.run_all(commands, sender)
        assert isinstance(running, Deferred)
        self.assertNoResult(running)
        self.assertEqual([Result(1), Result(0)], self.result(running))
        self.assertEqual([b"welcome"], self.b.messages(client))
