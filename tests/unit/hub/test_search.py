"""Tests for :mod:`phpgw.hub.search`."""

from twisted.trial.unittest import SynchronousTestCase

from phpgw.hub.client import Client
from phpgw.hub.search import NameSearch
from tests.support.fakes import FakeConnection, handshake, identity


def client(client_id: str, *groups: str, user: str | None = None, address: str = "") -> Client:
    known = identity(client_id, user=user, handshake=handshake(peer_host=address))
    return Client(known, FakeConnection(), groups=frozenset(groups))


class NameSearchTests(SynchronousTestCase):
    def test_name(self) -> None:
        """A part is found in any case, and as it is: it is no pattern."""
        search = NameSearch("Oom-")
        self.assertTrue(search.matches("room-1"))
        self.assertTrue(search.matches("ROOM-"))
        self.assertFalse(search.matches("room"))
        self.assertFalse(NameSearch(".*").matches("room"))
        self.assertTrue(NameSearch("ÄÖ").matches("xäö"))

    def test_nothing(self) -> None:
        self.assertTrue(NameSearch("").matches(""))
        self.assertTrue(NameSearch("").matches_client(client("a")))

    def test_client(self) -> None:
        """It is found by its id, its user, each group, and its address, and by nothing else."""
        found = client("192.0.2.1:5000", "room-1", "Lobby", user="Anna", address="203.0.113.7")
        for text in ("2.1:50", "ann", "oom-1", "lobby", "113.7"):
            self.assertTrue(NameSearch(text).matches_client(found), text)
        for text in ("bob", "room-2", "localhost", "/ws", "None", "room-1lobby"):
            self.assertFalse(NameSearch(text).matches_client(found), text)

    def test_many(self) -> None:
        """A group that several clients have is found for each of them."""
        search = NameSearch("oo")
        clients = [client(str(n), f"room-{n % 3}" if n % 2 else f"hall-{n}") for n in range(20)]
        self.assertEqual(10, sum(map(search.matches_client, clients)))
