"""Tests for :mod:`phpgw.hub.client`."""

import attrs
from twisted.trial.unittest import SynchronousTestCase

from phpgw.hub.client import Client
from tests.support.fakes import FakeConnection, handshake, identity

_AGENT = (b"User-Agent", b"Firefox")


class ClientTests(SynchronousTestCase):
    def client(self, cookie: bytes = b"") -> Client:
        headers = ((b"Cookie", cookie), _AGENT) if cookie else (_AGENT,)
        return Client(identity("a", handshake=handshake(headers=headers)), FakeConnection())

    def headers(self, client: Client, now: float = 0) -> dict[bytes, bytes]:
        """What PHP is told at this time."""
        return dict(client.identity_at(now).handshake.headers)

    def test_new(self) -> None:
        """Nothing that a quiet client would not need."""
        client = self.client()
        self.assertEqual(client.id, "a")
        self.assertIs(client.handshake, client.identity.handshake)
        self.assertTrue(client.is_connected())
        self.assertFalse(client.is_busy or client.reports_disconnect)
        self.assertEqual((client.groups, client.inbox), (set(), []))

    def test_gone(self) -> None:
        client = self.client()
        client.is_disconnected = True
        self.assertFalse(client.is_connected())

    def test_each_is_one_of_its_own(self) -> None:
        """Also two with the same id, of which one has left."""
        self.assertEqual(len({self.client(), self.client()}), 2)

    def test_cookies_of_php_come_with_those_of_the_browser(self) -> None:
        client = self.client(b"a=1; b=2")
        client.keep_cookies([b"b=new; Path=/", b"c=3; HttpOnly"], 0)
        self.assertEqual(
            self.headers(client), {b"Cookie": b"a=1; b=new; c=3", b"User-Agent": b"Firefox"}
        )
        client.keep_cookies([b"a=gone; Max-Age=0"], 1)
        self.assertEqual(self.headers(client)[b"Cookie"], b"b=new; c=3")

    def test_cookies_of_php_alone(self) -> None:
        client = self.client()
        client.keep_cookies([b"a=1"], 0)
        self.assertEqual(self.headers(client)[b"Cookie"], b"a=1")
        client.keep_cookies([b"a=; Max-Age=0"], 0)
        self.assertEqual(self.headers(client), dict([_AGENT]))

    def test_cookie_that_runs_out(self) -> None:
        client = self.client()
        client.keep_cookies([b"a=1; Max-Age=10", b"b=2"], 100)
        self.assertEqual(self.headers(client, 109)[b"Cookie"], b"a=1; b=2")
        self.assertEqual(self.headers(client, 110)[b"Cookie"], b"b=2")

    def test_how_it_connected_stays(self) -> None:
        client = self.client(b"a=1")
        before = client.handshake
        client.keep_cookies([b"a=2"], 0)
        self.assertIs(client.handshake, before)
        self.assertEqual(before.headers, ((b"Cookie", b"a=1"), _AGENT))

    def test_user_and_state_stay(self) -> None:
        client = self.client()
        client.identity = attrs.evolve(client.identity, user="u", state="s")
        client.keep_cookies([b"a=1"], 0)
        self.assertEqual((client.identity.user, client.identity.state), ("u", "s"))
        client.identity = attrs.evolve(client.identity, state="t")
        self.assertEqual(client.identity_at(5).state, "t")
        self.assertEqual(self.headers(client)[b"Cookie"], b"a=1")

    def test_same_identity_while_nothing_changes(self) -> None:
        """What is prepared for it is kept with it."""
        client = self.client(b"a=1")
        client.keep_cookies([b"b=2; Max-Age=10"], 0)
        before = client.identity
        client.keep_cookies([b"b=2; Max-Age=10", b"nonsense"], 0)
        self.assertIs(client.identity_at(9), before)
        self.assertIsNot(client.identity_at(10), before)
        self.assertIs(client.identity_at(11), client.identity_at(12))
