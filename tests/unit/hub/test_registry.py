"""Which clients can be reached, and as what."""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from phpgw.hub.client import Client
from phpgw.hub.registry import ClientIdTaken, Registry
from tests.support.fakes import FakeConnection, fake_client, identity


class RegistryTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.registry = Registry()

    def test_find(self) -> None:
        one, two = fake_client("a")[0], fake_client("b")[0]
        self.registry.add(one)
        self.registry.add(two)
        self.assertIdentical(one, self.registry.find("a"))
        self.assertIdentical(two, self.registry.find("b"))
        self.assertEqual(2, len(self.registry))

    def test_unknown(self) -> None:
        self.assertIdentical(None, self.registry.find("a"))
        self.assertIdentical(None, self.registry.find(""))

    def test_gone(self) -> None:
        client = fake_client("a")[0]
        self.registry.add(client)
        self.registry.remove(client)
        self.assertIdentical(None, self.registry.find("a"))
        self.assertEqual(0, len(self.registry))

    def test_removed_twice(self) -> None:
        client = fake_client("a")[0]
        self.registry.add(client)
        self.registry.remove(client)
        self.registry.remove(client)
        self.assertEqual([], list(self.registry))

    def test_id_taken(self) -> None:
        """Nobody takes over the messages of a client that is connected."""
        first, second = fake_client("a")[0], fake_client("a")[0]
        self.registry.add(first)
        self.assertEqual("a", str(self.assertRaises(ClientIdTaken, self.registry.add, second)))
        self.assertIdentical(first, self.registry.find("a"))

    def test_id_used_again(self) -> None:
        """A late farewell does not take the next client with this id along."""
        first, second = fake_client("a")[0], fake_client("a")[0]
        self.registry.add(first)
        self.registry.remove(first)
        self.registry.add(second)
        self.registry.remove(first)
        self.assertIdentical(second, self.registry.find("a"))

    def test_leaving_during_a_round(self) -> None:
        """Each client is met, even if all leave and another comes on the way."""
        clients = [fake_client(name)[0] for name in "abc"]
        for client in clients:
            self.registry.add(client)
        met = []
        for client in self.registry:
            met.append(client)
            self.registry.remove(client)
            if client is clients[0]:
                self.registry.add(fake_client("d")[0])
        self.assertEqual(clients, met)
        self.assertEqual(["d"], [client.id for client in self.registry])


class GroupTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.registry = Registry()
        self.one, self.two = (fake_client(name)[0] for name in "ab")
        for client in (self.two, self.one):
            self.registry.add(client)

    def assert_groups(self, **expected: list[Client]) -> None:
        """These groups there are, with these clients in this order; the clients know of it."""
        groups = self.registry.groups
        self.assertEqual(set(expected), set(groups.names()))
        for name, members in expected.items():
            self.assertEqual(members, groups.members(name))
            self.assertEqual(len(members), groups.size(name))
        for client in self.registry:
            self.assertEqual({name for name in expected if client in expected[name]}, client.groups)

    def test_join(self) -> None:
        self.registry.join(self.one, "x")
        self.registry.join(self.two, "x")
        self.registry.join(self.two, "y")
        self.registry.join(self.one, "x")
        self.assert_groups(x=[self.one, self.two], y=[self.two])

    def test_leave(self) -> None:
        """A group is gone with its last client; who is in none can leave one."""
        self.registry.join(self.one, "x")
        self.registry.join(self.two, "x")
        self.registry.leave(self.one, "x")
        self.registry.leave(self.one, "x")
        self.registry.leave(self.one, "nowhere")
        self.assert_groups(x=[self.two])
        self.registry.leave(self.two, "x")
        self.assert_groups()

    def test_gone(self) -> None:
        self.registry.join(self.one, "x")
        self.registry.join(self.two, "x")
        self.registry.join(self.one, "y")
        self.registry.remove(self.one)
        self.assert_groups(x=[self.two])

    def test_nobody(self) -> None:
        self.assertEqual([], self.registry.groups.members("x"))
        self.assertEqual(0, self.registry.groups.size("x"))

    def test_members_leave_on_the_way(self) -> None:
        self.registry.join(self.one, "x")
        self.registry.join(self.two, "x")
        for client in self.registry.groups.members("x"):
            self.registry.leave(client, "x")
        self.assert_groups()


class UserTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.registry = Registry()
        self.one, self.two = (fake_client(name)[0] for name in "ab")
        for client in (self.one, self.two):
            self.registry.add(client)

    def test_bind(self) -> None:
        """A client is one user's; a user may have several."""
        for client, user in ((self.one, "x"), (self.two, "y"), (self.one, "y"), (self.two, "y")):
            self.registry.bind(client, user)
            self.assertEqual(user, client.identity.user)
        self.assertEqual(["y"], list(self.registry.users.names()))
        self.assertEqual([self.two, self.one], self.registry.users.members("y"))

    def test_unbind(self) -> None:
        self.registry.bind(self.one, "x")
        self.registry.bind(self.one, None)
        self.registry.bind(self.one, None)
        self.assertIdentical(None, self.one.identity.user)
        self.assertEqual([], list(self.registry.users.names()))

    def test_gone(self) -> None:
        """PHP is told of a disconnect whose it was."""
        self.registry.bind(self.one, "x")
        self.registry.remove(self.one)
        self.assertEqual([], list(self.registry.users.names()))
        self.assertEqual("x", self.one.identity.user)

    def test_bound_before(self) -> None:
        client = Client(identity("c", user="x"), FakeConnection())
        self.registry.add(client)
        self.assertEqual([client], self.registry.users.members("x"))
        self.registry.remove(client)
        self.assertEqual(0, self.registry.users.size("x"))

    def test_no_new_identity_in_vain(self) -> None:
        """What a backend has prepared for it would be lost."""
        self.registry.bind(self.one, "x")
        before = self.one.identity
        self.registry.bind(self.one, "x")
        self.assertIdentical(before, self.one.identity)


_STEPS = st.tuples(
    st.sampled_from(["add", "remove", "join", "leave", "bind"]),
    st.sampled_from("abc"),
    st.sampled_from(["x", "y", "z"]),
)


class ConsistencyTests(SynchronousTestCase):
    @given(st.lists(_STEPS, max_size=40))
    def test_whatever_happens(self, steps: list[tuple[str, str, str]]) -> None:
        """Groups and users say of clients what clients say of themselves."""
        registry = Registry()
        for step, client_id, name in steps:
            client = registry.find(client_id)
            match step, client:
                case "add", None:
                    registry.add(fake_client(client_id)[0])
                case "remove", Client():
                    registry.remove(client)
                case "join", Client():
                    registry.join(client, name)
                case "leave", Client():
                    registry.leave(client, name)
                case "bind", Client():
                    registry.bind(client, None if name == "z" else name)
        clients = list(registry)
        groups = {(client.id, name) for client in clients for name in client.groups}
        users = {(client.id, client.identity.user) for client in clients if client.identity.user}
        for index, expected in ((registry.groups, groups), (registry.users, users)):
            found = [(each.id, name) for name in index.names() for each in index.members(name)]
            self.assertEqual(sorted(expected), sorted(found))
