"""A pool of connections to PostgreSQL: runs PgBouncer, watches it, and asks it for figures."""

import os
import secrets
import shutil
import signal
import socket
from contextlib import suppress
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.defer import TimeoutError as DeferredTimeoutError
from twisted.internet.endpoints import UNIXClientEndpoint
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.protocol import Factory
from twisted.logger import Logger
from twisted.python.failure import Failure

from phpgw.log_limit import line_limit
from phpgw.pools.figures import PoolFigures
from phpgw.pools.postgres.config import PgBouncerConfig, own_by_pgbouncer
from phpgw.pools.postgres.console import ConsoleError, PgBouncerConsole
from phpgw.pools.postgres.figures import PgBouncerFigures
from phpgw.pools.postgres.process import PgBouncerProcess
from phpgw.pools.postgres.program import find_pgbouncer, passed_sockets, pgbouncer_command
from phpgw.pools.postgres.refusal import refuse_waiting
from phpgw.pools.service import PoolService
from phpgw.process.restart_delay import STABLE_SECONDS, RestartDelay
from phpgw.process.socket_directory import make_socket_directory
from phpgw.process.unix_socket import listen_at
from phpgw.settings.option import InvalidOption
from phpgw.settings.pool_config import PoolConfig
from phpgw.settings.pool_text import OPTION
from phpgw.settings.secret_file import read_secret

_FIGURES_SECONDS = 1.0
_CONSOLE_BACKLOG = 8
# Seconds for an answer of the console, after which PgBouncer is killed.
_MAX_SILENCE = 30.0
# Seconds between two looks at PHP that waits while there is no PgBouncer.
_LOOK_SECONDS = 1.0


class PostgresPool(PoolService):
    """The pool for ``postgres://``.

    The sockets stay when PgBouncer is started again: connections of PHP wait meanwhile.

    :raises InvalidOption: if PgBouncer is not installed, or cannot be configured.
    :ivar restarts: how often PgBouncer has ended by itself.
    """

    log = Logger(observer=line_limit)

    def __init__(self, reactor: Any, pool: PoolConfig) -> None:
        self.restarts = 0
        self._reactor = reactor
        self._config = PgBouncerConfig.of(pool)
        self._program = find_pgbouncer(pool)
        self._listening: socket.socket | None = None
        self._directory: Path | None = None
        self._process: PgBouncerProcess | None = None
        self._console: PgBouncerConsole | None = None
        self._console_password = ""
        self._figures = PgBouncerFigures()
        self._delay = RestartDelay()
        self._restarting: IDelayedCall | None = None
        self._stable: IDelayedCall | None = None
        self._asking: IDelayedCall | None = None

    @property
    def figures(self) -> PoolFigures:
        """See :attr:`phpgw.pools.service.PoolService.figures`."""
        return self._figures.now

    def start(self, listening: socket.socket) -> None:
        """See :meth:`phpgw.pools.service.PoolService.start`."""
        self._listening = listening
        self._directory = make_socket_directory()
        own_by_pgbouncer(self._directory)
        self._start()

    def reload(self) -> None:
        """See :meth:`phpgw.pools.service.PoolService.reload`."""
        if self._process is None:
            return
        try:
            self._write_files()
        except (InvalidOption, OSError) as error:
            self.log.error("{pool} was not reloaded: {error}", pool=self._name, error=str(error))
            return
        if self._console is None:
            self._process.reload()
            return
        # Connections with the old password are closed as soon as PHP gives them back.
        for command in ("RELOAD", "RECONNECT"):
            self._console.ask(command).addErrback(self._not_answered, self._process)

    def stop_within(self, seconds: float) -> Deferred[None]:
        """See :meth:`phpgw.pools.service.PoolService.stop_within`."""
        listening, self._listening = self._listening, None
        if listening is not None:
            listening.close()
        for call in (self._restarting, self._stable, self._asking):
            _cancel(call)
        if self._console is not None:
            self._console.close()
        ending = succeed(None) if self._process is None else self._process.finish(seconds)
        return ending.addCallback(self._remove_directory)

    @property
    def _name(self) -> str:
        return f"Pool {self._config.pool.name}"

    def _start(self) -> None:
        assert self._directory is not None
        assert self._listening is not None
        place = self._directory / f"console-{self.restarts}.sock"
        process = PgBouncerProcess(
            self._reactor,
            place,
            ready=self._ready,
            unguarded=self._unguarded,
            ended=self._ended,
        )
        process.refused = self._figures.count_refusal
        try:
            self._console_password = secrets.token_hex()
            configuration = self._write_files()
            with listen_at(place, 0o600, _CONSOLE_BACKLOG) as console:
                process.spawn(
                    pgbouncer_command(self._program, configuration),
                    os.environ,
                    passed_sockets(self._listening.fileno(), console.fileno()),
                )
        except (InvalidOption, OSError) as error:
            self._restart_later(str(error))
        else:
            self._process = process

    def _write_files(self) -> Path:
        """Write the files of PgBouncer, with the password as it is now."""
        assert self._directory is not None
        file = self._config.pool.password_file
        secret = b"" if file is None else read_secret(OPTION, file)
        password = secret.decode("utf-8", "surrogateescape")
        files = self._config.files(self._directory, password, self._console_password)
        return files.write(self._directory)

    def _ready(self, process: PgBouncerProcess) -> None:
        self._ask_later(process, 0)

    def _unguarded(self, process: PgBouncerProcess) -> None:
        """Replace a PgBouncer without a guardian, which would outlive a gateway that is killed."""
        if self._listening is not None:
            self.log.warn("The guardian of PgBouncer was killed; PgBouncer is replaced")
            process.stop()

    def _ended(self, process: PgBouncerProcess, how: str) -> None:
        self._process = self._console = None
        _cancel(self._stable)
        _cancel(self._asking)
        if self._listening is not None:
            self._restart_later(f"{how}: {process.last_words}")

    def _restart_later(self, how: str) -> None:
        delay = self._delay.take()
        self._figures.forget(f"PgBouncer ended ({how})")
        self.log.error(
            "{pool}: PgBouncer ended ({how}); it is started again in {delay} s",
            pool=self._name,
            how=how,
            delay=delay,
        )
        self.restarts += 1
        wait = self._config.pool.wait
        self._count_down(delay, is_long=wait is not None and delay > wait)

    def _count_down(self, seconds: float, *, is_long: bool) -> None:
        """Start PgBouncer after a delay.

        :param is_long: whether PHP gets an error meanwhile, and does not wait.
        """
        assert self._listening is not None
        if is_long:
            refuse_waiting(self._listening)
        if seconds <= 0:
            self._start()
            return
        step = min(seconds, _LOOK_SECONDS)
        self._restarting = self._reactor.callLater(
            step, self._count_down, seconds - step, is_long=is_long
        )

    def _ask_later(self, process: PgBouncerProcess, seconds: float) -> None:
        if process is self._process and self._listening is not None:
            self._asking = self._reactor.callLater(seconds, self._ask, process)

    def _ask(self, process: PgBouncerProcess) -> None:
        """Ask for the figures, and again a little later."""
        asked = Deferred.fromCoroutine(self._ask_console(process))
        asked.addTimeout(_MAX_SILENCE, self._reactor)
        asked.addErrback(self._not_answered, process)
        asked.addBoth(lambda _: self._ask_later(process, _FIGURES_SECONDS))

    async def _ask_console(self, process: PgBouncerProcess) -> None:
        if self._console is None:
            factory = Factory.forProtocol(lambda: PgBouncerConsole(self._console_password))
            factory.noisy = False
            endpoint = UNIXClientEndpoint(self._reactor, str(process.socket))
            console: Any = await endpoint.connect(factory)
            await console.when_logged_in()
            if process is not self._process:
                return
            self._console = console
            self._figures.now.problem = ""
            self.log.info("{pool}: PgBouncer is ready", pool=self._name)
            _cancel(self._stable)
            self._stable = self._reactor.callLater(STABLE_SECONDS, self._delay.reset)
        pools = await self._console.ask("SHOW POOLS")
        servers = await self._console.ask("SHOW SERVERS")
        if process is self._process:
            self._figures.take(pools, servers)

    def _not_answered(self, failure: Failure, process: PgBouncerProcess) -> None:
        """Close the console, in whose place another is opened."""
        if process is not self._process:
            return
        console, self._console = self._console, None
        if console is not None:
            console.close()
        if self._listening is None:
            return
        if failure.check(DeferredTimeoutError):
            self.log.error("{pool}: PgBouncer hangs; it is killed", pool=self._name)
            process.signal(signal.SIGKILL)
        elif not failure.check(ConsoleError):
            self.log.failure("{pool}: its figures are not known", failure, pool=self._name)

    def _remove_directory(self, _: object) -> None:
        if self._directory is not None:
            with suppress(OSError):
                shutil.rmtree(self._directory)


def _cancel(call: IDelayedCall | None) -> None:
    if call is not None and call.active():
        call.cancel()
