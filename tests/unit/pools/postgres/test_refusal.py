"""Tests for :mod:`phpgw.pools.postgres.refusal`."""

import socket

from twisted.trial.unittest import SynchronousTestCase

from phpgw.pools.postgres.refusal import refuse_waiting
from tests.support.short_directory import short_directory


class RefusalTests(SynchronousTestCase):
    def test_all_that_wait(self) -> None:
        """Each gets an error with a SQLSTATE, and nobody is waited for."""
        path = str(short_directory(self) / "s")
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(path)
            listening.listen(8)
            refuse_waiting(listening)
            clients = [socket.socket(socket.AF_UNIX) for _ in range(3)]
            for client in clients:
                self.addCleanup(client.close)
                client.connect(path)
                client.send(b"startup")
            refuse_waiting(listening)
            for client in clients:
                data = client.recv(1000)
                self.assertEqual(len(data), 1 + int.from_bytes(data[1:5], "big"))
                self.assertIn(b"C08006\0", data)
