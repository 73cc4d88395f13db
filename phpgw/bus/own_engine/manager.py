"""Starts an own engine, starts it again when it ends, and stops it."""

import os
import shutil
from pathlib import Path
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from phpgw.bus.own_engine.process import EngineProcess
from phpgw.bus.own_engine.program import engine_command, find_engine
from phpgw.log_limit import line_limit
from phpgw.observable import Observable
from phpgw.process.guarded_process import STOP_SECONDS
from phpgw.process.restart_delay import STABLE_SECONDS, RestartDelay
from phpgw.process.socket_directory import make_socket_directory
from phpgw.settings.option import InvalidOption


def make_own_engine(reactor: Any) -> "OwnEngine":
    """Make an own engine, which is not started yet.

    :raises InvalidOption: if none is installed.
    """
    program = find_engine()
    if program is None:
        raise InvalidOption(
            "workers",
            "an engine between several workers, and none was found: apt-get install redis-server "
            "(or valkey-server; or name a running one with --bus)",
        )
    return OwnEngine(reactor, program)


class OwnEngine(Service):
    """Runs an engine on a private UNIX socket, as long as the service runs.

    It makes no files before the service starts, since ``twistd --uid`` changes the user. Its socket
    is the same after each restart.

    :ivar restarts: how often it has ended by itself, to be started again.
    """

    log = Logger(observer=line_limit)

    def __init__(self, reactor: Any, program: Path) -> None:
        self.restarts = 0
        self._reactor = reactor
        self._program = program
        self._directory: Path | None = None
        self._process: EngineProcess | None = None
        self._is_ready = False
        self._delay = RestartDelay()
        self._call: IDelayedCall | None = None
        self._waiters: list[Deferred[None]] = []

    @property
    def socket(self) -> Path:
        """Return the UNIX socket, once the service has started: for ``--bus``."""
        assert self._directory is not None
        return self._directory / "engine.sock"

    @property
    def pid(self) -> int | None:
        """Return the id of its process; ``None`` if there is none."""
        return None if self._process is None else self._process.transport.pid

    def obstacle(self) -> str | None:
        """Return why the engine cannot be used; ``None`` if nothing is in the way."""
        return None if self._is_ready else "the gateway's engine is not ready"

    def observables(self) -> tuple[Observable, ...]:
        """Return its metrics."""
        return (
            Observable(
                name="engine_restarts",
                help="Times that the gateway's own engine between workers ended by itself, and was "
                "started again.",
                kind="counter",
                observe=lambda: {(): self.restarts},
            ),
        )

    def when_ready(self) -> Deferred[None]:
        """Return a Deferred that fires once the engine can be used."""
        if self._is_ready:
            return succeed(None)
        waiter: Deferred[None] = Deferred()
        self._waiters.append(waiter)
        return waiter

    def startService(self) -> None:
        """Start the engine."""
        super().startService()
        self._directory = make_socket_directory()
        self._start()

    def stopService(self) -> Deferred[None]:
        """Stop the engine; fire when it has ended."""
        return self.stop_within(STOP_SECONDS)

    def stop_within(self, seconds: float) -> Deferred[None]:
        """Stop the engine, by force after so many seconds; fire when it has ended."""
        super().stopService()
        self._cancel_call()
        self._is_ready = False
        stopping = succeed(None) if self._process is None else self._process.stop(seconds)
        return stopping.addCallback(self._remove_directory)

    def _start(self) -> None:
        self._process = EngineProcess(
            self._reactor,
            self.socket,
            ready=self._ready,
            unguarded=self._unguarded,
            ended=self._ended,
        )
        self._process.spawn(engine_command(self._program, self.socket), os.environ)

    def _ready(self, process: EngineProcess) -> None:
        self._is_ready = True
        self.log.info("{program} is ready for the workers", program=self._program.name)
        self._schedule(STABLE_SECONDS, self._delay.reset)
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            waiter.callback(None)

    def _unguarded(self, process: EngineProcess) -> None:
        """Replace an engine without a guardian, which would outlive a gateway that is killed."""
        if self.running:
            self.log.warn("The guardian of the engine was killed; the engine is replaced")
            process.stop()

    def _ended(self, process: EngineProcess, how: str) -> None:
        self._process, self._is_ready = None, False
        if not self.running:
            return
        delay = self._delay.take()
        self.log.error(
            "The engine between the workers ended ({how}: {words}); it is started again in "
            "{delay} s",
            how=how,
            words=process.last_words,
            delay=delay,
        )
        self.restarts += 1
        self._schedule(delay, self._start)

    def _schedule(self, seconds: float, call: Any) -> None:
        """Schedule a call in place of the one that is scheduled."""
        self._cancel_call()
        self._call = self._reactor.callLater(seconds, call)

    def _cancel_call(self) -> None:
        if self._call is not None and self._call.active():
            self._call.cancel()

    def _remove_directory(self, _: object) -> None:
        if self._directory is not None:
            shutil.rmtree(self._directory, ignore_errors=True)
