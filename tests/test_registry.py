"""Which clients can be reached."""

from twisted.trial.unittest import SynchronousTestCase

from phpgw.registry import ClientIdTaken, Registry
from tests.fakes import fake_client


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
