"""Tests for :mod:`phpgw.pools.main`."""

import json
import os
import signal
import socket
from typing import Any
from unittest import mock

import twisted.internet
from twisted.internet import process
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.logger import globalLogBeginner
from twisted.trial.unittest import SynchronousTestCase

from phpgw.log_limit import line_limit
from phpgw.pools import main as module
from phpgw.pools import pool_set
from phpgw.process import parent_pipe, rlimit
from phpgw.process.messages import Message
from phpgw.process.parent_pipe import ParentPipe
from phpgw.settings.option import InvalidOption

_POOL = {"text": "db=tcp://h:1", "wait": 1.0, "socket": None, "group": None}


class _Reactor(Clock):
    """A clock that runs what is to be run at the start.

    :ivar runs: how it was run.
    :ivar stops: how often it was stopped.
    """

    def __init__(self) -> None:
        super().__init__()
        self.runs: list[dict[str, Any]] = []
        self.stops = 0
        self._starting: list[Any] = []

    def callWhenRunning(self, function: Any) -> None:  # noqa: N802
        self._starting.append(function)

    def callFromThread(self, function: Any) -> None:  # noqa: N802
        function()

    def run(self, **how: Any) -> None:
        self.runs.append(how)
        for function in self._starting:
            function()

    def stop(self) -> None:
        self.stops += 1


class _PoolSet:
    """Pools that note what they get."""

    made: "list[_PoolSet]"
    error: Exception | None

    def __init__(self, reactor: Any, pools: Any) -> None:
        self.names = [pool.name for pool in pools]
        self.ports: dict[str, int] = {}
        self.made.append(self)

    def start(self, sockets: dict[str, socket.socket]) -> None:
        for name, each in sockets.items():
            self.ports[name] = each.getsockname()[1]
            each.close()
        if self.error is not None:
            raise self.error

    def figures(self) -> dict[str, Any]:
        return {name: {} for name in self.names}


class MainTests(SynchronousTestCase):
    def setUp(self) -> None:
        for number in (*module._IGNORED, signal.SIGCHLD):
            self.addCleanup(signal.signal, number, signal.getsignal(number))
        self.reactor = _Reactor()
        self.transport = StringTransport()
        # There is none before the first use of it.
        patched = mock.patch.object(twisted.internet, "reactor", self.reactor, create=True)
        patched.start()
        self.addCleanup(patched.stop)
        self.patch(parent_pipe, "StandardIO", self.connect)
        self.patch(globalLogBeginner, "beginLoggingTo", lambda observers, **_: None)
        self.patch(line_limit, "start", lambda reactor: None)
        self.patch(rlimit, "raise_limit", lambda: None)
        self.patch(module, "die_with_parent", lambda: None)
        self.patch(module, "read_first_message", self.read_first_message)
        _PoolSet.made, _PoolSet.error = [], None
        self.patch(pool_set, "PoolSet", _PoolSet)
        listening = socket.create_server(("127.0.0.1", 0))
        self.port = listening.getsockname()[1]
        self.descriptor = listening.detach()

    def connect(self, protocol: ParentPipe, **_: Any) -> None:
        """Open the pipes to the gateway."""
        protocol.makeConnection(self.transport)

    def read_first_message(self, name: str) -> Message:
        return {"pools": [_POOL], "log_level": "info", "sockets": {"db": self.descriptor}}

    def told(self) -> list[dict[str, Any]]:
        """Return what the gateway has been told."""
        return [json.loads(line) for line in self.transport.value().splitlines()]

    def test_ready(self) -> None:
        """The pools get the gateway's sockets, and the gateway hears that they are ready."""
        module.main()
        (pools,) = _PoolSet.made
        self.assertEqual((["db"], {"db": self.port}), (pools.names, pools.ports))
        self.assertEqual([{"type": "ready"}, {"type": "figures", "pools": {"db": {}}}], self.told())
        self.assertEqual(0, self.reactor.stops)

    def test_signals(self) -> None:
        """Signals are for the gateway alone: PHP needs its connections until that has stopped."""
        module.main()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            os.kill(os.getpid(), number)
        self.assertEqual(0, self.reactor.stops)
        self.assertEqual([{"installSignalHandlers": False}], self.reactor.runs)

    def test_ended_child(self) -> None:
        """That PgBouncer has ended is noticed at once."""
        reaped: list[None] = []
        self.patch(process, "reapAllProcesses", lambda: reaped.append(None))
        module.main()
        os.kill(os.getpid(), signal.SIGCHLD)
        self.assertEqual([None], reaped)

    def fail_with(self, error: Exception) -> None:
        _PoolSet.error = error
        module.main()
        self.assertEqual([{"type": "failed", "reason": str(error)}], self.told())
        self.assertEqual(1, self.reactor.stops)

    def test_invalid_option(self) -> None:
        """The gateway hears why the pools cannot start, and the process ends."""
        self.fail_with(InvalidOption("pool", "a file", "x"))

    def test_invalid_value(self) -> None:
        """The same is so if a file that a pool names is there no longer."""
        self.fail_with(ValueError("no such file"))
