"""Tests for :mod:`phpgw.process.unix_socket`."""

import errno
import os
import socket
import stat
import tempfile
from pathlib import Path
from shutil import rmtree
from typing import Any, NoReturn

from twisted.internet.error import CannotListenError
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from phpgw.process.listener import Listener
from phpgw.process.server_endpoint import make_endpoint


def not_permitted(*arguments: object, **named: object) -> NoReturn:
    raise PermissionError(errno.EACCES, "not permitted")


class UnixTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        # Short enough for the path of a socket.
        self.directory = Path(tempfile.mkdtemp(prefix="phpgw-"))
        self.addCleanup(rmtree, self.directory)
        self.path = self.directory / "socket"
        self.reactor: Any = MemoryReactorClock()

    def listen(self, text: str) -> Any:
        port: Any = self.successResultOf(
            make_endpoint(self.reactor, text).listen(Factory.forProtocol(Protocol))
        )
        self.addCleanup(self.close, port)
        return port

    def close(self, port: Any) -> None:
        """Close the port, as a reactor does at its end."""
        if port.connected:
            port.connectionLost(Failure(Exception("closed")))

    def mode(self) -> int:
        return stat.S_IMODE(self.path.stat().st_mode)

    def make_socket(self, listens: bool = True) -> socket.socket:
        made = socket.socket(socket.AF_UNIX)
        self.addCleanup(made.close)
        made.bind(str(self.path))
        if listens:
            made.listen(1)
        return made

    def visit(self) -> None:
        """Connect, or fail."""
        with socket.socket(socket.AF_UNIX) as visitor:
            visitor.settimeout(5)
            visitor.connect(str(self.path))


class OwnTests(UnixTestCase):
    def test_listens(self) -> None:
        """The directory contains only the socket, and is empty at the end."""
        port = self.listen(f"unix:{self.path}")
        self.visit()
        self.assertEqual(([self.path], 0o666), (list(self.directory.iterdir()), self.mode()))
        self.close(port)
        self.assertEqual([], list(self.directory.iterdir()))

    def test_mode(self) -> None:
        self.listen(f"unix:{self.path}:mode=600:backlog=7")
        self.assertEqual(0o600, self.mode())

    def test_left_behind(self) -> None:
        """A killed process left the socket, and its id may be in use."""
        self.make_socket().close()
        # Twisted's own mark, with the id of a process that runs.
        (self.directory / "socket.lock").symlink_to(str(os.getpid()))
        self.listen(f"unix:{self.path}")
        self.visit()

    def test_in_use(self) -> None:
        """The socket is in use, even if the process accepts slowly."""
        made = self.make_socket()
        for _ in range(4):
            for text in (f"unix:{self.path}", f"haproxy:unix:{self.path}"):
                listening = make_endpoint(self.reactor, text).listen(Factory())
                error = self.failureResultOf(listening, CannotListenError).value
                self.assertIn("Address already in use", str(error.socketError))
        self.assertTrue(self.path.is_socket())
        made.close()

    def test_in_the_way(self) -> None:
        """A file that is not a socket is not deleted."""
        self.path.write_text("precious")
        listener = Listener("listen", f"unix:{self.path}", Factory(), self.reactor)
        line = self.assertRaises(SystemExit, listener.privilegedStartService).code
        self.assertIn("There is a file of that name", str(line))
        self.assertEqual("precious", self.path.read_text())

    def test_nowhere(self) -> None:
        for path in (self.directory / "no" / "socket", self.directory / ("x" * 200)):
            listener = Listener("listen", f"unix:{path}", Factory(), self.reactor)
            line = str(self.assertRaises(SystemExit, listener.privilegedStartService).code)
            self.assertEqual(1, len(line.splitlines()), line)

    def test_deleted_meanwhile(self) -> None:
        """A file that replaced the socket is not deleted, and a missing one is not an error."""
        port = self.listen(f"unix:{self.path}")
        self.path.unlink()
        self.make_socket()
        self.close(port)
        self.visit()
        self.path.unlink()
        port = self.listen(f"unix:{self.path}")
        self.path.unlink()
        self.close(port)

    def test_must_not_be_deleted(self) -> None:
        """After twistd --uid, the file cannot be deleted. The port still stops."""
        port = self.listen(f"unix:{self.path}")
        self.patch(Path, "unlink", not_permitted)
        self.close(port)
        self.assertFalse(port.connected)

    def test_relative(self) -> None:
        """The path is resolved at once, since twistd may change the working directory."""
        before = Path.cwd()
        self.addCleanup(os.chdir, before)
        os.chdir(self.directory)
        endpoint = make_endpoint(self.reactor, "unix:socket")
        os.chdir("/")
        port: Any = self.successResultOf(endpoint.listen(Factory.forProtocol(Protocol)))
        self.visit()
        self.close(port)
        self.assertFalse(self.path.exists())
