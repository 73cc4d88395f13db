"""Tests for :mod:`phpgw.outgoing.address_rules`."""

from ipaddress import ip_network

from twisted.trial.unittest import SynchronousTestCase

from phpgw.outgoing.address_rules import AddressRules

_INNER = (
    *("127.0.0.1", "127.1.2.3", "0.0.0.0", "10.0.0.1", "172.16.0.1", "172.31.255.255"),
    *("192.168.1.1", "169.254.169.254", "169.254.0.1", "100.64.0.1", "100.100.100.200"),
    *("192.0.0.1", "192.0.2.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "240.0.0.1"),
    *("255.255.255.255", "224.0.0.1", "239.1.1.1", "168.63.129.16"),
    *("::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "fec0::1", "ff02::1"),
    "2001:db8::1",
    # Of these, Python does not know in each version that they are not public.
    *("192.0.0.192", "192.88.99.1", "100:0:0:1::1", "5f00::1", "4000::1"),
    # An IPv4 address within: mapped, compatible, 6to4, Teredo, NAT64.
    *("::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:a9fe:a9fe", "::127.0.0.1", "::a00:1"),
    *("2002:7f00:1::", "2002:a9fe:a9fe::1", "64:ff9b::7f00:1", "64:ff9b::169.254.169.254"),
    # NAT64 of one's own network, and with the IPv4 address in the middle; SIIT.
    *("64:ff9b:1::a9fe:a9fe", "64:ff9b:1:a9fe:a9:fe00:808:808", "::ffff:0:a9fe:a9fe"),
)
_PUBLIC = ("8.8.8.8", "1.1.1.1", "2606:4700:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808")


class AddressTests(SynchronousTestCase):
    def test_inner(self) -> None:
        rules = AddressRules()
        self.assertEqual([], [each for each in _INNER if rules.permits(each)])

    def test_public(self) -> None:
        rules = AddressRules()
        self.assertEqual([], [each for each in _PUBLIC if not rules.permits(each)])

    def test_no_address(self) -> None:
        rules = AddressRules([ip_network("0.0.0.0/0"), ip_network("::/0")])
        for text in ("", "localhost", "2130706433", "0x7f.1", "127.1", "0177.0.0.1", "1.2.3.4/8"):
            self.assertFalse(rules.permits(text), text)

    def test_listed(self) -> None:
        """A network that is named is allowed, and its neighbours are not."""
        rules = AddressRules([ip_network("10.1.0.0/16"), ip_network("fd12::/16")])
        for text, is_permitted in (
            ("10.1.2.3", True),
            ("10.2.0.1", False),
            ("fd12::1", True),
            ("fd13::1", False),
            ("::ffff:10.1.2.3", False),
            ("127.0.0.1", False),
            ("8.8.8.8", True),
        ):
            self.assertEqual(is_permitted, rules.permits(text), text)
