"""Tests for :mod:`phpgw.websocket.client_ids`."""

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.trial.unittest import SynchronousTestCase

from phpgw.websocket.client_ids import peer_ids, random_id

IPV4 = IPv4Address("TCP", "127.0.0.1", 51110)
IPV6 = IPv6Address("TCP", "2001:db8::1", 51110)
SOCKETS = (UNIXAddress(None), UNIXAddress("/run/peer.sock"))


class NamingTests(SynchronousTestCase):
    def test_peer_ids(self) -> None:
        """The id is the address, or a number if there is no address."""
        name = peer_ids()
        peers = (IPV4, SOCKETS[0], IPV6, SOCKETS[1], IPV4)
        self.assertEqual(
            ["127.0.0.1:51110", "unix:1", "[2001:db8::1]:51110", "unix:2", "127.0.0.1:51110"],
            [name(peer) for peer in peers],
        )

    def test_random_ids(self) -> None:
        """Random ids contain nothing about the peer, and each is new."""
        ids = {random_id(IPV4) for _ in range(1000)}
        self.assertEqual(1000, len(ids))
        for each in ids:
            self.assertRegex(each, r"\A[0-9a-f]{32}\Z")
