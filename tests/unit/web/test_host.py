"""Tests for :mod:`phpgw.web.host`."""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from phpgw.web.host import is_safe_from_rebinding, parse_host, refers_to_this_machine

# Names that somebody else may own, and let be any address.
STRANGERS = (
    *("evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "evil.example."),
    *(
        "xn--e1afmkfd.example",
        "internal.example",
        "a.notinternal",
        "1.2.3.4.5",
        "256.0.0.1",
        "127.1",
        "a.b",
        "localhost.example.",
    ),
)
OURS = (
    *("localhost", "LocalHost", "app.localhost", "localhost.", "gateway", "my-php", "127.0.0.1"),
    *("host.docker.internal", "gateway.internal."),
    *("10.0.0.1", "203.0.113.7", "0.0.0.0", "[::1]", "[2001:db8::1]", "[::ffff:127.0.0.1]"),
)


class HostNameTests(SynchronousTestCase):
    def test_name(self) -> None:
        for header, name in {
            b"Example.com": "example.com",
            b"example.com:8080": "example.com",
            b"example.com:": "example.com",
            b"127.0.0.1:80": "127.0.0.1",
            b"[::1]:8080": "::1",
            b"[2001:DB8::1]": "2001:db8::1",
            b"[fe80::1%eth0]": "fe80::1",
            b"[fe80::1%25eth0]:8080": "fe80::1",
            b"[FE80::1%br-lan.2]:8080": "fe80::1",
            b"my_host": "my_host",
            b"": "",
        }.items():
            self.assertEqual(name, parse_host(header), header)

    def test_malformed(self) -> None:
        for header in (
            *(b"a b", b"a,b", b"a/b", b"a@b", b"user:pass@host", b"a:b", b"a:80:80", b"::1"),
            *(
                b"[::1",
                b"::1]",
                b"[]",
                b"[::1]x",
                b"[::1%]",
                b"[::1%a b]",
                b"[%eth0]",
                b"[v1.x]",
                b"http://a",
                b"a\xff",
                b"a\x00",
            ),
            *(b"a\r\nX: y", b"<script>", b'"', b"a:123456", b"a\n", b" a", b"%61"),
        ):
            self.assertIsNone(parse_host(header), header)

    @given(st.binary(max_size=20))
    def test_whatever_comes(self, header: bytes) -> None:
        """A name is always a part of the header, and has only safe characters."""
        name = parse_host(header)
        if name is not None:
            self.assertIn(name, header.decode().lower())
            self.assertLessEqual(set(name), set("abcdefghijklmnopqrstuvwxyz0123456789.-_:"))


class ThisMachineTests(SynchronousTestCase):
    def test_here(self) -> None:
        for name in (
            *("localhost", "localhost.", "app.localhost", "127.0.0.1", "127.1.2.3", "::1"),
            *("::ffff:127.0.0.1", "host.docker.internal", "host.containers.internal"),
            *("0.0.0.0", "::"),
        ):
            self.assertTrue(refers_to_this_machine(name), name)

    def test_elsewhere(self) -> None:
        for name in (
            *("", ".", "example.com", "localhost.example.com", "notlocalhost", "127.0.0.1.example"),
            *("gateway", "10.0.0.1", "0.0.0.1", "::2", "fe80::1", "203.0.113.7", "a.internal"),
        ):
            self.assertFalse(refers_to_this_machine(name), name)


class OwnerTests(SynchronousTestCase):
    def test_strangers(self) -> None:
        for name in (*STRANGERS, "", "."):
            self.assertFalse(is_safe_from_rebinding(name), name)

    def test_nobodys(self) -> None:
        for name in OURS:
            self.assertTrue(is_safe_from_rebinding(parse_host(name.encode()) or ""), name)
