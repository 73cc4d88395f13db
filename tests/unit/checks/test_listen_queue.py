"""Tests for :mod:`phpgw.checks.listen_queue`, with real sockets."""

import socket

from twisted.trial.unittest import SynchronousTestCase

from phpgw.checks.addresses import HostPort, UnixPath
from phpgw.checks.listen_queue import ListenQueueUnknown, listen_queue
from tests.support.short_directory import short_directory


class ListenQueueTests(SynchronousTestCase):
    def test_unix(self) -> None:
        path = str(short_directory(self) / "a.sock")
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(path)
            server.listen(8)
            self.assertEqual(0, listen_queue(UnixPath(path)))
            clients = [socket.socket(socket.AF_UNIX) for _ in range(3)]
            for client in clients:
                client.connect(path)
                self.addCleanup(client.close)
            self.assertEqual(3, listen_queue(UnixPath(path)))

    def test_tcp(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            address = server.getsockname()
            self.assertEqual(0, listen_queue(HostPort(*address)))
            with socket.create_connection(address):
                self.assertEqual(1, listen_queue(HostPort(*address)))

    def test_unknown(self) -> None:
        for address in (UnixPath("/no/such.sock"), HostPort("127.0.0.1", 1), None):
            self.assertRaises(ListenQueueUnknown, listen_queue, address)
