"""Tests for :mod:`phpgw.websocket.connection_limit`."""

from twisted.internet.address import IPv4Address
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from phpgw.websocket.connection_limit import (
    AddressLimitReached,
    ConnectionLimit,
    ConnectionLimitReached,
)
from tests.support.in_memory_browser import InMemoryBrowser
from tests.support.websocket_site import WebSocketSiteTestCase


def let_in(connection_limit: ConnectionLimit, *hosts: str) -> None:
    """One after the other."""
    for host in hosts:
        connection_limit.check(host)
        connection_limit.add(host)


class ConnectionLimitTests(SynchronousTestCase):
    def test_in_all(self) -> None:
        connection_limit = ConnectionLimit(limit=2)
        let_in(connection_limit, "192.0.2.1", "192.0.2.2")
        self.assertRaises(ConnectionLimitReached, connection_limit.check, "192.0.2.3")
        connection_limit.remove("192.0.2.1")
        let_in(connection_limit, "192.0.2.3")
        self.assertRaises(ConnectionLimitReached, connection_limit.check, "192.0.2.3")

    def test_everybody_counts_in_all(self) -> None:
        """Also who comes from this machine, or by a UNIX socket."""
        connection_limit = ConnectionLimit(limit=2, address_limit=1)
        let_in(connection_limit, "127.0.0.1", "")
        self.assertRaises(ConnectionLimitReached, connection_limit.check, "::1")

    def test_per_address(self) -> None:
        connection_limit = ConnectionLimit(limit=10, address_limit=2)
        let_in(connection_limit, "192.0.2.1", "192.0.2.1", "192.0.2.2")
        self.assertRaises(AddressLimitReached, connection_limit.check, "192.0.2.1")
        connection_limit.check("192.0.2.2")
        connection_limit.remove("192.0.2.1")
        let_in(connection_limit, "192.0.2.1")

    def test_ipv6_network(self) -> None:
        """One customer can have 2**64 addresses."""
        connection_limit = ConnectionLimit(address_limit=1)
        let_in(connection_limit, "2001:db8:0:1::1")
        address = "2001:db8:0:1:ffff:ffff:ffff:ffff"
        self.assertRaises(AddressLimitReached, connection_limit.check, address)
        connection_limit.check("2001:db8:0:2::1")

    def test_ipv4_written_as_ipv6(self) -> None:
        """Those are not all of one network."""
        connection_limit = ConnectionLimit(address_limit=1)
        let_in(connection_limit, "::ffff:192.0.2.1")
        self.assertRaises(AddressLimitReached, connection_limit.check, "192.0.2.1")
        connection_limit.check("::ffff:192.0.2.2")

    def test_this_machine(self) -> None:
        """An unknown proxy on this machine has many clients."""
        connection_limit = ConnectionLimit(address_limit=1)
        for host in ("127.0.0.1", "127.5.5.5", "::1", "::ffff:127.0.0.1", ""):
            let_in(connection_limit, host, host, host)

    def test_no_limits(self) -> None:
        let_in(ConnectionLimit(), *["192.0.2.1"] * 100)

    def test_nothing_is_kept_of_those_who_have_left(self) -> None:
        """There are many addresses, so memory must not grow."""
        connection_limit = ConnectionLimit(limit=1, address_limit=1)
        for number in range(256):
            host = f"192.0.2.{number}"
            let_in(connection_limit, host)
            connection_limit.remove(host)
        self.assertFalse(connection_limit._networks)


class DoorTests(WebSocketSiteTestCase):
    """The response to a browser."""

    def come(self, host: str, port: int = 5000) -> InMemoryBrowser:
        return self.connect(IPv4Address("TCP", host, port))

    def test_full(self) -> None:
        self.limit(connection_limit=ConnectionLimit(limit=2))
        browsers = [self.come(f"192.0.2.{number}") for number in range(3)]
        self.assertEqual([101, 101, 503], [browser.status for browser in browsers])
        self.assertIn(b"\r\nRetry-After: 10\r\n", browsers[2].response + b"\r\n")
        self.assertEqual(1, self.metrics.handshakes_refused_full)
        self.assertEqual(1, self.metrics.handshakes_refused["max_connections"])
        browsers[0].hang_up()
        self.assertEqual(101, self.come("192.0.2.9").status)

    def test_full_of_one_address(self) -> None:
        self.limit(connection_limit=ConnectionLimit(address_limit=2))
        browsers = [self.come("192.0.2.1", port) for port in (1, 2, 3)]
        self.assertEqual([101, 101, 429], [browser.status for browser in browsers])
        self.assertIn(b"HTTP/1.1 429 Too Many Requests\r\n", browsers[2].response)
        self.assertIn(b"\r\nRetry-After: 60\r\n", browsers[2].response + b"\r\n")
        self.assertEqual(1, self.metrics.handshakes_refused_per_address)
        self.assertEqual(101, self.come("192.0.2.2").status)
        browsers[1].hang_up()
        self.assertEqual(101, self.come("192.0.2.1", 4).status)

    def test_refused_for_another_reason(self) -> None:
        """A refused handshake does not count."""
        self.limit(connection_limit=ConnectionLimit(limit=2))
        for _ in range(5):
            self.come("192.0.2.1")
        self.assertEqual(101, self.come("192.0.2.2").status)

    def test_log(self) -> None:
        """Many refusals are logged with few lines."""
        self.limit(connection_limit=ConnectionLimit(limit=1))
        self.come("192.0.2.1")
        with capturedLogs() as events:
            for number in range(25):
                self.come("192.0.2.2", number)
                self.clock.advance(1)
        lines = [str(formatEvent(event)) for event in events if "status" in event]
        self.assertEqual(3, len(lines))
        self.assertNotIn("others", lines[0])
        self.assertIn("and 9 others meanwhile", lines[1])
