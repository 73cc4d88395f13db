"""Tests for :mod:`phpgw.workers.sockets`."""

import os
import socket

from twisted.trial.unittest import SynchronousTestCase

from phpgw.settings.option import InvalidOption
from phpgw.workers import sockets
from phpgw.workers.sockets import ListeningSockets
from tests.support.short_directory import short_directory


class ListeningSocketsTests(SynchronousTestCase):
    def open(self, *endpoints: str, count: int = 2) -> ListeningSockets:
        opened = ListeningSockets.open("listen", endpoints, count)
        self.addCleanup(opened.close)
        return opened

    def name(self, descriptor: int) -> tuple[str, int]:
        with socket.socket(fileno=os.dup(descriptor)) as copy:
            self.assertTrue(copy.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
            host, port, *_ = copy.getsockname()
            return host, port

    def test_tcp(self) -> None:
        """Each worker has a socket of its own, all on the same port."""
        opened = self.open("tcp:0:interface=127.0.0.1")
        descriptors = [opened.for_worker(number)["tcp:0:interface=127.0.0.1"] for number in (0, 1)]
        self.assertEqual(2, len({*descriptors}))
        (host, port), other = map(self.name, descriptors)
        self.assertEqual((host, port), other)
        self.assertEqual("127.0.0.1", host)
        for _ in range(4):
            socket.create_connection((host, port), timeout=1).close()

    def test_interfaces(self) -> None:
        """Without an interface, or for IPv6, as a whole gateway does."""
        self.patch(sockets, "takes_both_families", lambda: False)
        texts = ("tcp:0", "tcp6:0:interface=\\:\\:1", "tcp:0:interface=127.0.0.1:backlog=3")
        names = [self.name(*self.open(text).for_worker(0).values())[0] for text in texts]
        self.assertEqual(["0.0.0.0", "::1", "127.0.0.1"], names)
        self.patch(sockets, "takes_both_families", lambda: True)
        self.assertEqual("::", self.name(self.open("tcp:0").for_worker(0)["tcp:0"])[0])

    def test_below_tls_and_proxy_protocol(self) -> None:
        """These are the workers' own business."""
        opened = self.open(
            "ssl:0:interface=127.0.0.1:privateKey=/nowhere",
            "haproxy:tcp:0:interface=127.0.0.1:backlog=9",
        )
        self.assertEqual(
            ["tcp:0:interface=127.0.0.1", "tcp:0:interface=127.0.0.1:backlog=9"],
            [*opened.for_worker(1)],
        )

    def test_unix(self) -> None:
        """All workers share it; its file is deleted on demand, unless it is another one by then."""
        path = short_directory(self) / "s"
        opened = self.open(f"unix:{path}:mode=640")
        self.assertEqual(opened.for_worker(0), opened.for_worker(1))
        self.assertEqual(0o640, path.stat().st_mode & 0o777)
        path.unlink()
        path.touch()
        opened.remove_files()
        self.assertTrue(path.exists())

    def test_taken(self) -> None:
        """A port that another gateway shares among its workers is taken, too."""
        opened = self.open("tcp:0:interface=127.0.0.1")
        _, port = self.name(opened.for_worker(0)["tcp:0:interface=127.0.0.1"])
        text = f"tcp:{port}:interface=127.0.0.1"
        error = self.assertRaises(SystemExit, self.open, text)
        self.assertIn(f"phpgw: --listen: cannot listen on '{text}': [Errno 98]", str(error.code))

    def test_cannot_be_shared(self) -> None:
        for text in (
            "fd:3",
            "unix:/x:lockfile=1",
            "tcp:x",
            "tcp:1:2:3:4",
            "systemd:index=0",
            "ssl:1",
        ):
            error = self.assertRaises(InvalidOption, self.open, text)
            self.assertIn(f"--listen: got '{text}'; expected", str(error))
