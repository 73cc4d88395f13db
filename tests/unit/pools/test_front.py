"""Tests for :mod:`phpgw.pools.front`."""

import os
import socket
import stat
from grp import getgrgid
from pathlib import Path
from typing import Any

from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from phpgw.pools.front import Front, PhpConnection, open_socket
from phpgw.settings.option import InvalidOption
from phpgw.settings.pool_config import PoolConfig
from phpgw.settings.pool_text import parse_pool
from tests.support.short_directory import short_directory


class SocketTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.directory = short_directory(self)

    def open(self, pool: PoolConfig) -> socket.socket:
        opened = open_socket(pool)
        self.addCleanup(opened.close)
        return opened

    def pool(self, fields: str) -> PoolConfig:
        return parse_pool(f"db=tcp://h:1?{fields}")

    def test_unix(self) -> None:
        """It is for a group alone, in a directory that is made for it."""
        path = self.directory / "phpgw" / "pools" / "db.sock"
        group = getgrgid(os.getgid()).gr_name
        self.addCleanup(os.umask, os.umask(0o077))
        opened = self.open(self.pool(f"socket={path}&group={group}"))
        self.assertEqual(str(path), opened.getsockname())
        self.assertEqual(0o660, stat.S_IMODE(path.stat().st_mode))
        self.assertEqual(os.getgid(), path.stat().st_gid)
        self.assertEqual(0o755, stat.S_IMODE(path.parent.stat().st_mode))

    def test_mode(self) -> None:
        path = self.directory / "db.sock"
        self.open(self.pool(f"socket={path}&mode=0600"))
        self.assertEqual(0o600, stat.S_IMODE(path.stat().st_mode))

    def test_port(self) -> None:
        opened = self.open(self.pool("listen=127.0.0.1:0".replace(":0", f":{free_port()}")))
        self.assertEqual("127.0.0.1", opened.getsockname()[0])

    def test_many_wait(self) -> None:
        """PHP may connect while the gateway is busy: connect() to a full socket would fail."""
        path = self.directory / "db.sock"
        self.open(self.pool(f"socket={path}"))
        visitors = [socket.socket(socket.AF_UNIX) for _ in range(300)]
        for visitor in visitors:
            self.addCleanup(visitor.close)
            visitor.setblocking(False)
            visitor.connect(str(path))

    def test_open_directory(self) -> None:
        """Where everybody may write, another program could stand in for the server."""
        self.directory.chmod(0o777)
        pool = self.pool(f"socket={self.directory / 'db.sock'}")
        error = self.assertRaises(InvalidOption, open_socket, pool)
        self.assertIn("--pool: got 'db: ", str(error))
        self.assertIn("everybody", str(error))

    def test_in_use(self) -> None:
        pool = self.pool(f"socket={self.directory / 'db.sock'}")
        self.open(pool)
        self.assertIn("in use", str(self.assertRaises(InvalidOption, open_socket, pool)))
        port = self.pool(f"listen=127.0.0.1:{free_port()}")
        self.open(port)
        self.assertIn("in use", str(self.assertRaises(InvalidOption, open_socket, port)))

    def test_no_directory(self) -> None:
        file = Path(self.directory / "file")
        file.touch()
        pool = self.pool(f"socket={file}/db.sock")
        self.assertIn("can be opened", str(self.assertRaises(InvalidOption, open_socket, pool)))


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


class Php(PhpConnection):
    """A connection of PHP that notes that the gateway stops."""

    stopped = False

    def stop(self) -> None:
        self.stopped = True


class FrontTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.front = Front(self.clock, Php)

    def connect(self) -> Any:
        connection = self.front.buildProtocol(None)
        connection.makeConnection(StringTransport())
        return connection

    def test_nobody(self) -> None:
        self.successResultOf(self.front.stop_within(5))

    def test_php_finishes(self) -> None:
        """PHP may end what it does."""
        first, second = self.connect(), self.connect()
        stopped = self.front.stop_within(5)
        first.connectionLost()
        self.assertNoResult(stopped)
        second.connectionLost()
        self.successResultOf(stopped)
        self.assertFalse(first.stopped or second.stopped)
        self.assertEqual([], self.clock.getDelayedCalls())

    def test_php_goes_on(self) -> None:
        """Who does not finish is told to go, and is aborted at last."""
        first, second = self.connect(), self.connect()
        stopped = self.front.stop_within(5)
        self.clock.advance(5)
        self.assertTrue(first.stopped and second.stopped)
        first.connectionLost()
        self.clock.advance(0.5)
        self.assertEqual(
            (False, True), (first.transport.disconnecting, second.transport.disconnecting)
        )
        second.connectionLost()
        self.successResultOf(stopped)
        self.assertEqual(set(), self.front.connections)
