"""Tests for :mod:`phpgw.pools.postgres.console`."""

import struct
from typing import Any

from twisted.internet.error import ConnectionDone
from twisted.internet.testing import StringTransportWithDisconnection
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from phpgw.pools.postgres.console import ConsoleError, PgBouncerConsole


def message(kind: bytes, body: bytes = b"") -> bytes:
    return kind + struct.pack("!i", len(body) + 4) + body


def columns(*names: str) -> bytes:
    fields = b"".join(name.encode() + b"\0" + bytes(18) for name in names)
    return message(b"T", struct.pack("!h", len(names)) + fields)


def row(*values: str | None) -> bytes:
    fields = b"".join(
        struct.pack("!i", -1) if each is None else struct.pack("!i", len(each)) + each.encode()
        for each in values
    )
    return message(b"D", struct.pack("!h", len(values)) + fields)


READY = message(b"Z", b"I")
IN = message(b"R", bytes(4)) + message(b"S", b"a\0b\0") + message(b"K", bytes(8)) + READY


class ConsoleTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.console = PgBouncerConsole("pass")
        self.transport = StringTransportWithDisconnection()
        self.transport.protocol = self.console
        self.console.makeConnection(self.transport)

    def reason(self, deferred: Any) -> str:
        return str(self.failureResultOf(deferred, ConsoleError).value)

    def test_login(self) -> None:
        sent = self.transport.value()
        self.assertEqual(len(sent), struct.unpack_from("!i", sent)[0])
        self.assertTrue(sent.endswith(b"user\0phpgw_console\0database\0pgbouncer\0\0"))
        self.transport.clear()
        self.console.dataReceived(message(b"R", struct.pack("!i", 3)))
        self.assertEqual(message(b"p", b"pass\0"), self.transport.value())
        self.assertNoResult(self.console.when_logged_in())
        self.console.dataReceived(IN)
        self.successResultOf(self.console.when_logged_in())

    def test_tables(self) -> None:
        """Each answer belongs to its command, in any pieces."""
        self.console.dataReceived(IN)
        first, second = self.console.ask("SHOW POOLS"), self.console.ask("RELOAD")
        self.assertTrue(self.transport.value().endswith(message(b"Q", b"RELOAD\0")))
        data = columns("user", "n") + row("app", "1") + row("b", None)
        data += message(b"C", b"SHOW\0") + READY + message(b"C", b"RELOAD\0") + READY
        for byte in data:
            self.console.dataReceived(bytes([byte]))
        self.assertEqual(
            [{"user": "app", "n": "1"}, {"user": "b", "n": ""}], self.successResultOf(first)
        )
        self.assertEqual([], self.successResultOf(second))

    def test_errors(self) -> None:
        """An error fails its command alone."""
        self.console.dataReceived(IN)
        first, second = self.console.ask("NONSENSE"), self.console.ask("RELOAD")
        self.console.dataReceived(message(b"E", b"SERROR\0Mno such command\0\0") + READY + READY)
        self.assertEqual("no such command", self.reason(first))
        self.successResultOf(second)

    def test_refused(self) -> None:
        logged_in = self.console.when_logged_in()
        self.console.dataReceived(message(b"E", b"SFATAL\0Mlogin rejected\0\0"))
        self.assertEqual("login rejected", self.reason(logged_in))
        self.assertFalse(self.transport.connected)
        self.assertEqual("login rejected", self.reason(self.console.ask("SHOW POOLS")))

    def test_closed(self) -> None:
        self.console.dataReceived(IN)
        asked = self.console.ask("SHOW POOLS")
        self.console.connectionLost(Failure(ConnectionDone()))
        self.assertEqual("it was closed", self.reason(asked))

    def test_nonsense(self) -> None:
        """What cannot be read ends the connection, and no exception escapes."""
        for data in (
            b"HTTP/1.1 400",
            message(b"R", b"\0"),
            message(b"R", struct.pack("!i", 5)),
            message(b"T", struct.pack("!h", 3) + b"a\0"),
            message(b"D", struct.pack("!h", 1)),
            columns("a") + row("1", "2"),
            b"Z\0\0\0\1",
        ):
            self.setUp()
            logged_in = self.console.when_logged_in()
            self.console.dataReceived(data)
            self.assertFalse(self.transport.connected, data)
            self.reason(logged_in)
