"""What becomes of commands: whom they reach, and what they are said to have done."""

from collections.abc import Sequence
from typing import Any

from twisted.internet.task import Clock
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
from phpgw.time_slices import TimeSlices
from tests.support.fakes import FakeConnection, fake_client

NOT_FOUND = "client not found"


class DispatchTestCase(SynchronousTestCase):
    """Clients a, b, c and d: a and b in group x, b and c in group y, a and c of user 1."""

    def setUp(self) -> None:
        self.metrics = Metrics()
        self.registry = Registry()
        self.clock: Any = Clock()
        slices = TimeSlices(self.clock)
        self.dispatcher = Dispatcher(self.registry, self.metrics, max_groups=2, slices=slices)
        self.clients: dict[str, Client] = {}
        self.connections: dict[str, FakeConnection] = {}
        for name in "abcd":
            self.clients[name], self.connections[name] = fake_client(name)
            self.registry.add(self.clients[name])
        for name, group in (("a", "x"), ("b", "x"), ("b", "y"), ("c", "y")):
            self.registry.join(self.clients[name], group)
        for name in "ac":
            self.registry.bind(self.clients[name], "1")

    def run_list(self, commands: Sequence[Command]) -> list[Result]:
        """Run them; their results are there at once."""
        results = self.dispatcher.run_all(commands)
        assert isinstance(results, list)
        return results

    def run_command(
        self, command: Command, delivered: int, error: str | None = None, sender: str | None = None
    ) -> None:
        """Run it; its result is this."""
        client = None if sender is None else self.clients[sender]
        self.assertEqual(Result(delivered, error), self.dispatcher.run(command, client))


class TargetTests(DispatchTestCase):
    def assert_reached(
        self, to: Target, names: str, error: str | None = None, sender: str | None = None
    ) -> None:
        """A message to this target comes to these clients, once to each."""
        self.run_command(Send(to, b"hello"), len(names), error, sender)
        got = "".join(name for name in "abcd" for _ in self.connections[name].sent)
        self.assertEqual(names, got)

    def test_client(self) -> None:
        self.assert_reached(Target("client", ("a",)), "a")

    def test_clients(self) -> None:
        self.assert_reached(Target("client", ("c", "a", "c")), "ac")

    def test_unknown_client(self) -> None:
        for names in (("z",), ("",), ("z", "y")):
            self.assert_reached(Target("client", names), "", NOT_FOUND)

    def test_some_unknown_clients(self) -> None:
        """The others are reached all the same."""
        self.assert_reached(Target("client", ("z", "a", "b")), "ab", NOT_FOUND)

    def test_name_that_is_nobody_s(self) -> None:
        """The others are reached, and the result says what was wrong."""
        problem = "to.clients[1]: it is empty"
        self.assert_reached(Target("client", ("a",), problem=problem), "a", problem)
        for connection in self.connections.values():
            connection.sent.clear()
        self.assert_reached(Target("group", (), problem="to.group: x"), "", "to.group: x")

    def test_group(self) -> None:
        self.assert_reached(Target("group", ("x",)), "ab")

    def test_groups(self) -> None:
        """Who is in several gets it once."""
        self.assert_reached(Target("group", ("x", "y", "z")), "abc")

    def test_user(self) -> None:
        self.assert_reached(Target("user", ("1",)), "ac")

    def test_users(self) -> None:
        self.assert_reached(Target("user", ("1", "2")), "ac")

    def test_all(self) -> None:
        self.assert_reached(Target("all"), "abcd")

    def test_nobody(self) -> None:
        """A room without anybody in it is no error, and neither is a list without a name."""
        for kind in ("group", "user", "client"):
            self.assert_reached(Target(kind), "")
        for target in (Target("group", ("z",)), Target("user", ("z",))):
            self.assert_reached(target, "")

    def test_sender(self) -> None:
        self.assert_reached(Target("sender"), "b", sender="b")

    def test_sender_gone(self) -> None:
        """Also if another client has its id by now."""
        self.registry.remove(self.clients["b"])
        self.assert_reached(Target("sender"), "", NOT_FOUND, sender="b")
        self.registry.add(fake_client("b")[0])
        self.assert_reached(Target("sender"), "", NOT_FOUND, sender="b")

    def test_no_sender(self) -> None:
        self.assert_reached(Target("sender"), "", NOT_FOUND)

    def test_except(self) -> None:
        for to, names in (
            (Target("all", (), frozenset("az")), "bcd"),
            (Target("group", ("x", "y"), frozenset("b")), "ac"),
            (Target("user", ("1",), frozenset("a")), "c"),
            (Target("client", ("a", "b"), frozenset("a")), "b"),
        ):
            self.assert_reached(to, names)
            for connection in self.connections.values():
                connection.sent.clear()

    def test_except_for_the_one(self) -> None:
        """To leave somebody out is not to miss him."""
        for to in (
            Target("client", ("a",), frozenset("a")),
            Target("client", ("z",), frozenset("z")),
            Target("sender", (), frozenset("a")),
        ):
            self.assert_reached(to, "", sender="a")


class SendTests(DispatchTestCase):
    def test_text_and_binary(self) -> None:
        self.run_command(Send(Target("client", ("a",)), b"x"), 1)
        self.run_command(Send(Target("client", ("a",)), b"\x00", True), 1)
        self.assertEqual([(b"x", False), (b"\x00", True)], self.connections["a"].sent)

    def test_same_object(self) -> None:
        """Connections share the frame of what is the same message."""
        message = b"hello".join([b"", b""])
        self.run_command(Send(Target("all"), message), 4)
        for connection in self.connections.values():
            self.assertIdentical(message, connection.sent[0][0])

    def test_leaving_on_the_way(self) -> None:
        """Who is closed in place of being sent more, as it is slow, is not counted; others are."""

        class Fragile(FakeConnection):
            def send_message(
                connection,  # noqa: N805
                payload: bytes,
                is_binary: bool,
                target: object = None,
            ) -> None:
                super().send_message(payload, is_binary)
                self.registry.remove(self.clients["a"])

        self.clients["a"].connection = Fragile()
        self.run_command(Send(Target("group", ("x",)), b"hello"), 1)
        self.assertEqual([(b"hello", False)], self.connections["b"].sent)
        for to in (Target("client", ("a",)), Target("client", ("a", "b"))):
            self.registry.remove(self.clients["a"])
            self.clients["a"].connection = Fragile()
            self.registry.add(self.clients["a"])
            self.run_command(Send(to, b"hello"), len(to.names) - 1, NOT_FOUND)


class RunAllTests(DispatchTestCase):
    def test_as_one_by_one(self) -> None:
        """The same clients get the same, whoever is named; and the results are the same."""
        targets = (
            *(Target("client", names) for names in (("a",), ("z",), ("c", "a", "c"), ("z", "a"))),
            *(Target("client", ("a", "b"), frozenset(name)) for name in "abz"),
            *(Target("client", ("a",), frozenset(name)) for name in "ab"),
            *(Target("group", names) for names in (("x",), ("z",), ("x", "y"))),
            *(Target("user", ("1",)), Target("all"), Target("all", (), frozenset("a"))),
            Target("sender"),
        )
        sends: list[Command] = [Send(to, b"%d" % n, n % 2 == 0) for n, to in enumerate(targets)]
        expected_results = [self.dispatcher.run(each) for each in sends]
        expected = {}
        for name, connection in self.connections.items():
            expected[name], connection.sent = connection.sent, []
        results = self.run_list(sends)
        self.assertEqual(expected_results, results)
        self.assertEqual(expected, {name: each.sent for name, each in self.connections.items()})
        self.assertEqual(2 * len(sends), self.metrics.commands_run.total())

    def test_in_order(self) -> None:
        """Each sees what the one before has done."""
        to = Target("group", ("new",))
        commands: list[Command] = [
            Send(to, b"1"),
            Join(Target("client", ("a",)), "new"),
            Send(to, b"2"),
        ]
        results = self.run_list([*commands, Close(to), Leave(to, "new"), Unbind(to)])
        self.assertEqual([Result(number) for number in (0, 1, 1, 1, 1, 0)], results)
        self.assertEqual([(b"2", False)], self.connections["a"].sent)
        self.assertEqual((1000, ""), self.connections["a"].closed)

    def test_together(self) -> None:
        """Where there are several; one alone is sent at once."""
        send = Send(Target("group", ("x",)), b"hello")
        self.dispatcher.run_all([send])
        self.assertEqual(0, self.connections["a"].gathered)
        self.dispatcher.run_all([send, Send(Target("client", ("a",)), b"hello")])
        self.assertEqual(2, self.connections["a"].gathered)
        self.assertEqual(1, self.connections["b"].gathered)

    def test_none(self) -> None:
        self.assertEqual([], self.run_list([]))


class MembershipTests(DispatchTestCase):
    def test_join(self) -> None:
        self.run_command(Join(Target("user", ("1",)), "new"), 2)
        self.assertEqual(
            [self.clients["a"], self.clients["c"]], self.registry.groups.members("new")
        )

    def test_bounded(self) -> None:
        """Who is in two groups comes into no third; to join one of the two again is no error."""
        error = "a client may be in 2 groups at most (--max-groups)"
        self.run_command(Join(Target("client", ("b",)), "z"), 0, error)
        self.run_command(Join(Target("group", ("x",)), "z"), 1, error)
        self.run_command(Join(Target("client", ("b",)), "x"), 1)
        self.assertEqual([self.clients["a"]], self.registry.groups.members("z"))

    def test_sender_gone(self) -> None:
        """A group does not keep who has left. What PHP will be told of it, it is told."""
        self.registry.remove(self.clients["a"])
        for delivered, error in ((1, None), (0, NOT_FOUND)):
            self.run_command(Join(Target("sender"), "new"), delivered, error, sender="a")
            self.run_command(Bind(Target("client", ("a",)), "new"), delivered, error)
            self.run_command(Send(Target("sender"), b"x"), 0, NOT_FOUND, sender="a")
            self.clients["a"].is_finished = True
        self.assertEqual(0, self.registry.groups.size("new") + self.registry.users.size("new"))

    def test_join_some(self) -> None:
        self.run_command(Join(Target("client", ("a", "z")), "new"), 1, NOT_FOUND)

    def test_leave(self) -> None:
        self.run_command(Leave(Target("all"), "x"), 4)
        self.assertEqual([], self.registry.groups.members("x"))

    def test_leave_whole_group(self) -> None:
        self.run_command(Leave(Target("group", ("x",)), "x"), 2)
        self.assertEqual(0, self.registry.groups.size("x"))

    def test_bind(self) -> None:
        self.run_command(Bind(Target("client", ("a",)), "2"), 1)
        self.assertEqual("2", self.clients["a"].identity.user)
        self.assertEqual([self.clients["c"]], self.registry.users.members("1"))

    def test_unbind(self) -> None:
        self.run_command(Unbind(Target("user", ("1",))), 2)
        self.assertIdentical(None, self.clients["a"].identity.user)
        self.assertEqual(0, self.registry.users.size("1"))


class StateAndCloseTests(DispatchTestCase):
    def test_state(self) -> None:
        self.run_command(SetState(Target("client", ("a",)), "here"), 1)
        self.assertEqual("here", self.clients["a"].identity.state)
        self.assertEqual("1", self.clients["a"].identity.user)

    def test_empty_state(self) -> None:
        """It ends what was."""
        self.run_command(SetState(Target("client", ("a",)), "here"), 1)
        self.run_command(SetState(Target("client", ("a",)), ""), 1)
        self.assertIdentical(None, self.clients["a"].identity.state)

    def test_no_new_identity_in_vain(self) -> None:
        """What a backend has prepared for it would be lost."""
        for state in ("", "here"):
            self.run_command(SetState(Target("client", ("a",)), state), 1)
            before = self.clients["a"].identity
            self.run_command(SetState(Target("client", ("a",)), state), 1)
            self.assertIdentical(before, self.clients["a"].identity)

    def test_close(self) -> None:
        self.run_command(Close(Target("group", ("x",)), 4001, "bye"), 2)
        closed = {name: connection.closed for name, connection in self.connections.items()}
        self.assertEqual({"a": (4001, "bye"), "b": (4001, "bye"), "c": None, "d": None}, closed)

    def test_counted(self) -> None:
        self.run_command(Close(Target("all")), 4)
        self.run_command(Unbind(Target("client", ("z",))), 0, NOT_FOUND)
        self.assertEqual(2, self.metrics.commands_run.total())
