"""Tests for :mod:`phpgw.bus.blocking_client`."""

import socket

from twisted.trial.unittest import SynchronousTestCase

from phpgw.bus import blocking_client as module
from phpgw.bus.blocking_client import BlockingClient
from phpgw.bus.connection import EngineError


class BlockingClientTests(SynchronousTestCase):
    def setUp(self) -> None:
        ours, self.engine = socket.socketpair()
        self.addCleanup(self.engine.close)
        ours.settimeout(0.01)
        self.client = BlockingClient(ours)
        self.addCleanup(self.client.close)

    def test_replies(self) -> None:
        """Each reply is that of the last request."""
        self.engine.sendall(b"+PONG\r\n")
        self.assertEqual(b"PONG", self.client.ask("PING"))
        self.assertEqual(b"*1\r\n$4\r\nPING\r\n", self.engine.recv(100))
        self.engine.sendall(b"*2\r\n$1\r\na\r\n:7\r\n")
        self.assertEqual([b"a", 7], self.client.ask("HELLO", 2))

    def test_error(self) -> None:
        self.engine.sendall(b"-NOPERM no\r\n")
        self.assertEqual("NOPERM", self.assertRaises(EngineError, self.client.ask, "X").code)

    def test_no_engine(self) -> None:
        """Whatever else answers, or does not, is an error of the system."""
        self.assertRaises(OSError, self.client.ask, "PING")
        self.engine.sendall(b"HTTP/1.1 400 Bad Request\r\n")
        self.assertRaises(OSError, self.client.ask, "PING")

    def test_too_much(self) -> None:
        """A reply without an end is given up."""
        self.patch(module, "_MAX_REPLY", 1000)
        self.engine.sendall(b"$1000000000\r\n" + b"x" * 2000)
        error = self.assertRaises(OSError, self.client.ask, "PING")
        self.assertEqual("it replies too much", str(error))

    def test_closed(self) -> None:
        self.engine.close()
        self.assertRaises(OSError, self.client.ask, "PING")
