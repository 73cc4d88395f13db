"""Tests for :mod:`phpgw.settings.host_and_port`."""

from twisted.trial.unittest import SynchronousTestCase

from phpgw.settings.host_and_port import HostAndPort, parse_host_and_port


class HostAndPortTests(SynchronousTestCase):
    def test_parsed(self) -> None:
        for text, expected in (
            ("h:1", HostAndPort("h", 1)),
            ("h", HostAndPort("h", 9)),
            ("[::1]:65535", HostAndPort("::1", 65535)),
            ("[::1]", HostAndPort("::1", 9)),
        ):
            self.assertEqual(expected, parse_host_and_port(text, 9), text)
        for text in ("", ":1", "h:0", "h:65536", "h:x", "::1", "a b", "h:1:2", "h/"):
            self.assertIsNone(parse_host_and_port(text, 9), text)
        self.assertIsNone(parse_host_and_port("h"))

    def test_text(self) -> None:
        self.assertEqual(["h:1", "[::1]:1"], [str(HostAndPort("h", 1)), str(HostAndPort("::1", 1))])
