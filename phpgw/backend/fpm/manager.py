"""An own PHP-FPM: starts it, restarts it when it dies, replaces it on reload, stops it."""

import shutil
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, DeferredList, succeed
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from phpgw.backend.fpm.config import FpmConfig
from phpgw.backend.fpm.endpoint import FpmEndpoint
from phpgw.backend.fpm.process import FpmProcess
from phpgw.log_limit import line_limit
from phpgw.observable import Observable
from phpgw.process.guarded_process import STOP_SECONDS
from phpgw.process.restart_delay import STABLE_SECONDS, RestartDelay
from phpgw.process.socket_directory import make_socket_directory

# Seconds that a new PHP-FPM may take to start until the old one is kept.
_REPLACE_SECONDS = 30
# Seconds until a PHP-FPM is replaced whose guardian was killed.
_GUARD_SECONDS = 1


class OwnFpm(FpmEndpoint):
    """Runs PHP-FPM on a private socket. It is also an endpoint that leads to PHP-FPM.

    It makes no files before the service starts, since ``twistd --uid`` changes the user.

    :ivar restarts: how often it has ended by itself, to be started again.
    """

    log = Logger(observer=line_limit)

    def __init__(self, reactor: Any, config: FpmConfig) -> None:
        super().__init__(reactor)
        self._config = config
        self._directory: Path | None = None
        self._started = 0
        self.restarts = 0
        # The process that is asked; the one that starts; those that only finish their events.
        self._current: FpmProcess | None = None
        self._next: FpmProcess | None = None
        self._retiring: set[FpmProcess] = set()
        self._delay = RestartDelay()
        self._calls: list[IDelayedCall] = []
        self._reload_waiters: list[Deferred[bool]] = []

    def startService(self) -> None:
        """Start PHP-FPM."""
        super().startService()
        self._directory = make_socket_directory()
        self._start()

    def stopService(self) -> Deferred[None]:
        """Stop PHP-FPM; fire when all its processes have ended."""
        return self.stop_within(STOP_SECONDS)

    def stop_within(self, seconds: float) -> Deferred[None]:
        """See :meth:`phpgw.backend.upstream.UpstreamService.stop_within`."""
        super().stopService()
        self._cancel_calls()
        self._fail_reload()
        ending = [process.stop(seconds) for process in self._processes()]
        return DeferredList(ending).addCallback(self._remove_directory)

    @property
    def pid(self) -> int | None:
        """Return the id of the master process that is asked, or will be."""
        process = self._current or self._next
        return None if process is None else process.transport.pid

    def count_children(self) -> int | None:
        """Return how many children the master process has; ``None`` if that is not known."""
        pid = self.pid
        if pid is None:
            return None
        try:
            children = Path(f"/proc/{pid}/task/{pid}/children").read_text()
        except OSError:
            return None
        return len(children.split())

    def observables(self) -> tuple[Observable, ...]:
        """See :meth:`phpgw.backend.fpm.endpoint.FpmEndpoint.observables`."""
        return (
            Observable(
                name="fpm_children",
                help="Processes of the gateway's own PHP-FPM that run scripts.",
                observe=lambda: {} if (count := self.count_children()) is None else {(): count},
            ),
            Observable(
                name="fpm_restarts",
                help="Times that the gateway's own PHP-FPM ended by itself, and was started again.",
                kind="counter",
                observe=lambda: {(): self.restarts},
            ),
        )

    def reload(self) -> Deferred[bool]:
        """Replace PHP-FPM by a new one, without interruption.

        The new PHP-FPM reads its settings and all code again. Once it is ready, the old one is not
        asked any more, and ends when its events are done.

        :returns: fires with whether that has been done.
        """
        waiter: Deferred[bool] = Deferred()
        self._reload_waiters.append(waiter)
        if self._next is not None:
            # It may have read old files.
            self._retire(self._next)
        if self._next is not None or self._current is not None:
            self._cancel_calls()
            self._start()
        if self._next is not None and self._current is not None:
            self._after(_REPLACE_SECONDS, self._stop_next)
        return waiter

    def _start(self) -> None:
        assert self._directory is not None
        self._started += 1
        process = FpmProcess(
            self._reactor,
            self._config,
            self._directory,
            self._started,
            ready=self._ready,
            unguarded=self._unguarded,
            ended=self._ended,
        )
        try:
            process.start()
        except Exception as error:
            self._next = None
            self._restart_later(str(error))
        else:
            self._next = process

    def _ready(self, process: FpmProcess) -> None:
        if process is not self._next:
            return
        self._cancel_calls()
        old, self._current, self._next = self._current, process, None
        self.log.info(
            "{binary} is ready, with {workers} workers",
            binary=self._config.binary,
            workers=self._config.workers,
        )
        self._after(STABLE_SECONDS, self._delay.reset)
        reload_waiters, self._reload_waiters = self._reload_waiters, []
        left = succeed(None) if old is None else self._retire(old)
        self.lead_to(process.socket)
        left.addCallback(lambda _: _fire(reload_waiters, True))

    def _retire(self, process: FpmProcess) -> Deferred[None]:
        self._retiring.add(process)
        return process.retire()

    def _stop_next(self) -> None:
        """Stop a new PHP-FPM that takes too long to start."""
        if self._next is not None:
            self.log.error("A new PHP-FPM is not ready after {seconds} s", seconds=_REPLACE_SECONDS)
            self._retiring.add(self._next)
            self._next.stop()
            self._next = None
            self._fail_reload()

    def _ended(self, process: FpmProcess, how: str) -> None:
        if process in self._retiring:
            self._retiring.discard(process)
            return
        if process is self._current:
            self._current = None
            self.lead_to(None)
        else:
            self._next = None
        if self.running:
            self._restart_later(how)

    def _restart_later(self, how: str) -> None:
        """Start PHP-FPM again after a delay, unless another one runs or starts."""
        if self._next is None:
            self._fail_reload()
        if self._current is not None:
            self.log.error("A new PHP-FPM ended ({how}); the old one goes on", how=how)
        elif self._next is None:
            delay = self._delay.take()
            self.log.error(
                "PHP-FPM ended ({how}); it is started again in {delay} s",
                how=how,
                delay=delay,
            )
            self._cancel_calls()
            self.restarts += 1
            self._after(delay, self._start)

    def _unguarded(self, process: FpmProcess) -> None:
        """Replace a PHP-FPM without a guardian, which would outlive a gateway that is killed."""
        if self.running and process not in self._retiring:
            self.log.warn("The guardian of PHP-FPM was killed; PHP-FPM is replaced")
            self._after(_GUARD_SECONDS, self.reload)

    def _fail_reload(self) -> None:
        waiters, self._reload_waiters = self._reload_waiters, []
        _fire(waiters, False)

    def _processes(self) -> list[FpmProcess]:
        return [each for each in (self._current, self._next, *self._retiring) if each is not None]

    def _after(self, seconds: float, call: Any) -> None:
        self._calls = [each for each in self._calls if each.active()]
        self._calls.append(self._reactor.callLater(seconds, call))

    def _cancel_calls(self) -> None:
        calls, self._calls = self._calls, []
        for call in calls:
            if call.active():
                call.cancel()

    def _remove_directory(self, outcome: object) -> None:
        if self._directory is not None:
            shutil.rmtree(self._directory, ignore_errors=True)


def _fire(waiters: list[Deferred[Any]], result: object) -> None:
    for waiter in waiters:
        waiter.callback(result)
