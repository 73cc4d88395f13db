"""Tests for :mod:`phpgw.web.addresses`."""

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.trial.unittest import SynchronousTestCase

from phpgw.web.addresses import host_and_port, peer_name

IPV4 = IPv4Address("TCP", "127.0.0.1", 51110)
IPV6 = IPv6Address("TCP", "2001:db8::1", 51110)
MAPPED = IPv6Address("TCP", "::ffff:192.0.2.1", 51110)
LINK_LOCAL = IPv6Address("TCP", "fe80::1%eth0", 51110)
SOCKETS = (UNIXAddress(None), UNIXAddress("/run/peer.sock"))


class PeerTests(SynchronousTestCase):
    def test_ipv4(self) -> None:
        self.assertEqual("127.0.0.1:51110", peer_name(IPV4))
        self.assertEqual(("127.0.0.1", 51110), host_and_port(IPV4))

    def test_ipv6(self) -> None:
        self.assertEqual("[2001:db8::1]:51110", peer_name(IPV6))
        self.assertEqual(("2001:db8::1", 51110), host_and_port(IPV6))

    def test_link_local(self) -> None:
        self.assertEqual("[fe80::1%eth0]:51110", peer_name(LINK_LOCAL))

    def test_ipv4_on_a_dual_stack_port(self) -> None:
        """It is the same whether or not the port accepts IPv6 too."""
        self.assertEqual("192.0.2.1:51110", peer_name(MAPPED))
        self.assertEqual(("192.0.2.1", 51110), host_and_port(MAPPED))

    def test_ipv6_that_looks_like_mapped(self) -> None:
        """Translated IPv4 (RFC 2765, section 2.1) stays an IPv6 address."""
        translated = IPv6Address("TCP", "::ffff:0:c000:201", 51110)
        self.assertEqual("[::ffff:0:c000:201]:51110", peer_name(translated))

    def test_whatever_the_proxy_protocol_brings(self) -> None:
        """Only an IP address is accepted, and it is normalized."""
        for host in (
            "",
            "garbage",
            "1.2.3",
            "::garbage",
            "1.2.3.4%eth0",
            "fe80::1%\x1b[31m",
            "::1\n",
        ):
            for kind in (IPv4Address, IPv6Address):
                self.assertIdentical(None, peer_name(kind("TCP", host, 5)), host)
        self.assertEqual(("2001:db8::1", 5), host_and_port(IPv6Address("TCP", "2001:DB8:0::1", 5)))

    def test_unix(self) -> None:
        """Peers on a UNIX socket have no address."""
        for address in SOCKETS:
            self.assertIdentical(None, peer_name(address))
            self.assertEqual(("", 0), host_and_port(address))
