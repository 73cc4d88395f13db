"""Tests for :mod:`phpgw.checks.processes`."""

import os
import socket

from twisted.trial.unittest import SynchronousTestCase

from phpgw.checks.processes import Process, listener_of, peer_of
from tests.support.real.process import free_port
from tests.support.short_directory import short_directory


class ProcessTests(SynchronousTestCase):
    def test_unix(self) -> None:
        path = str(short_directory(self) / "a.sock")
        with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as client:
            server.bind(path)
            server.listen()
            client.connect(path)
            found = peer_of(client)
        assert found is not None
        self.assertEqual(os.getpid(), found.pid)
        self.assertIn("python", found.title)

    def test_tcp(self) -> None:
        # Not an ephemeral one, which another process could take when it is free again.
        port = free_port()
        with socket.create_server(("127.0.0.1", port)):
            found = listener_of(port)
            assert found is not None
            self.assertEqual(os.getpid(), found.pid)
        self.assertIsNone(listener_of(port))

    def test_text(self) -> None:
        for title, text in (
            ("nginx: master process /usr/sbin/nginx", "nginx (pid 7)"),
            ("/usr/bin/python3 -m http.server", "python3 (pid 7)"),
        ):
            self.assertEqual(text, str(Process(7, title)))
