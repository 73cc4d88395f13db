"""The place of one worker: there is always a process in it, until the gateway stops."""

from collections.abc import Callable, Mapping
from typing import Any

from twisted.internet.defer import Deferred, DeferredList, succeed
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from phpgw.log_limit import line_limit
from phpgw.process.messages import Message
from phpgw.process.restart_delay import STABLE_SECONDS, RestartDelay
from phpgw.workers.job import WorkerJob
from phpgw.workers.worker_process import WorkerProcess

# Seconds from one look to the next, and from one sign of life to the next.
LOOK_SECONDS = 1.0
# How many looks in a row may see no sign of life of a process that serves, or still starts. Looks
# are counted, not seconds: the parent may have been stopped itself.
_MAX_SILENCE, _MAX_START = 10, 60
# From so many on, it is told that the process hangs.
_NOTED_SILENCE = 3


class WorkerSlot:
    """Keeps one worker running: starts it, replaces it when it ends or hangs, and stops it.

    :param number: the worker's, counted from 0.
    :param make_job: returns what a process is told at its start.
    :param sockets: the descriptors of its listening sockets, by the texts of their endpoints.
    :param started: called with a process that has started.
    :param received: called with a process, and a message that is not about its state.
    :param ended: called with a process that has ended.
    :param drain_seconds: how long a process may take to end after it was told to stop.
    :ivar number: the worker's number in the log, counted from 1.
    :ivar restarts: how often a process has ended by itself, to be started again.
    :ivar state: the last message of the process that serves about its state; empty if there is
        none.
    :ivar ready: fires once the first process is ready.
    """

    log = Logger(observer=line_limit)

    def __init__(
        self,
        reactor: Any,
        number: int,
        *,
        make_job: Callable[[], WorkerJob],
        sockets: Mapping[str, int],
        started: Callable[[WorkerProcess], None],
        received: Callable[["WorkerSlot", WorkerProcess, Message], None],
        ended: Callable[[WorkerProcess], None],
        drain_seconds: float,
    ) -> None:
        self._reactor = reactor
        self.number = number + 1
        self.name = f"Worker {self.number}"
        self._make_job = make_job
        self._sockets = sockets
        self._started = started
        self._received = received
        self._notify_ended = ended
        self._drain_seconds = drain_seconds
        self.restarts = 0
        self.state: Message = {}
        self.ready: Deferred[None] = Deferred()
        # The process that serves; the one that starts; those that drain.
        self._current: WorkerProcess | None = None
        self._next: WorkerProcess | None = None
        self._retiring: set[WorkerProcess] = set()
        self._silence: dict[WorkerProcess, int] = {}
        self._delay = RestartDelay()
        self._starting: IDelayedCall | None = None
        self._stable_after = 0.0
        self._is_stopping = False
        self._ready_waiters: list[Deferred[bool]] = []

    @property
    def current(self) -> WorkerProcess | None:
        """Return the process that serves; ``None`` if there is none."""
        return self._current

    @property
    def is_missing(self) -> bool:
        """Return whether no process of this worker runs, or that which serves hangs."""
        if self._current is None:
            return not self._retiring
        return self._silence.get(self._current, 0) >= _NOTED_SILENCE

    def start(self) -> Deferred[bool]:
        """Start a process, which takes the place of the one that serves once it is ready.

        :returns: fires with whether it has become ready.
        """
        waiter: Deferred[bool] = Deferred()
        if self._is_stopping:
            return succeed(False)
        self._ready_waiters.append(waiter)
        if self._next is None:
            self._start()
        return waiter

    def replace(self) -> Deferred[bool]:
        """Start a process; once it is ready, drain the one that serves.

        :returns: fires when that has ended, with whether it was replaced.
        """
        old = self._current

        def when_old_has_ended(is_replaced: bool) -> Deferred[bool]:
            if not is_replaced or old is None:
                return succeed(is_replaced)
            ended: Deferred[bool] = Deferred()
            old.ended.addCallback(lambda _: ended.callback(True))
            return ended

        return self.start().addCallback(when_old_has_ended)

    def stop(self) -> Deferred[None]:
        """Drain all processes, and start no more; fires when they have ended."""
        self._is_stopping = True
        self._cancel_start()
        self._fire_ready(False)
        ending = [process.stop_within(self._drain_seconds) for process in self.processes()]
        return DeferredList(ending).addCallback(lambda _: None)

    def tell(self, kind: str, **fields: Any) -> None:
        """Send a message to each process."""
        for process in self.processes():
            process.tell(kind, **fields)

    def look(self) -> None:
        """Count the silence of each process, and kill one that hangs."""
        for process in (self._current, self._next):
            if process is None:
                continue
            self._silence[process] = silence = self._silence.get(process, 0) + 1
            if silence == (_MAX_SILENCE if process is self._current else _MAX_START):
                self.log.error(
                    "{name} has hung for {seconds} s; it is killed, and replaced",
                    name=self.name,
                    seconds=round(silence * LOOK_SECONDS),
                )
                process.kill()

    def _start(self) -> None:
        self._cancel_start()
        process = WorkerProcess(self._reactor, self.name, self._receive, self._ended)
        try:
            process.start(self._make_job(), self._sockets)
        except OSError as error:
            self._fire_ready(False)
            self._restart_later(f"cannot be started: {error}")
        else:
            self._next = process
            self._started(process)

    def _receive(self, process: WorkerProcess, message: Message) -> None:
        self._silence[process] = 0
        match message.get("type"):
            case "ready":
                self._ready(process)
            case "stopping":
                self._stopping(process)
            case "failed":
                self.log.error("{name}: {reason}", name=self.name, reason=message.get("reason"))
            case "alive" if process is self._current:
                self.state = message
                self._received(self, process, message)
            case _:
                self._received(self, process, message)

    def _ready(self, process: WorkerProcess) -> None:
        if process is not self._next:
            return
        old, self._current, self._next = self._current, process, None
        self._stable_after = self._reactor.seconds() + STABLE_SECONDS
        if old is not None:
            self._retiring.add(old)
            old.stop_within(self._drain_seconds)
        self.log.info("{name} is ready, process {pid}", name=self.name, pid=process.pid)
        self._fire_ready(True)
        if not self.ready.called:
            self.ready.callback(None)

    def _stopping(self, process: WorkerProcess) -> None:
        """Start another process in place of one that somebody else has told to stop."""
        if process is self._current and not self._is_stopping:
            self.log.info("{name} stops; another one takes its place", name=self.name)
            self._current = None
            self.state = {}
            self._retiring.add(process)
            if self._next is None:
                self._start()

    def _ended(self, process: WorkerProcess, how: str) -> None:
        self._silence.pop(process, None)
        if process in self._retiring:
            self._retiring.discard(process)
            self._notify_ended(process)
            return
        if process is self._next:
            self._next = None
            self._fire_ready(False)
        else:
            self._current = None
            self.state = {}
            if self._reactor.seconds() >= self._stable_after:
                self._delay.reset()
        self._notify_ended(process)
        if not self._is_stopping:
            self._restart_later(f"ended ({how})")

    def _restart_later(self, how: str) -> None:
        """Start a process after a delay, unless another one serves or starts."""
        if self._current is not None:
            self.log.error(
                "A new process of {name} {how}; the old one goes on", name=self.name, how=how
            )
        elif self._next is None:
            delay = self._delay.take()
            self.log.error(
                "{name} {how}; it is started again in {delay} s",
                name=self.name,
                how=how,
                delay=delay,
            )
            self.restarts += 1
            self._cancel_start()
            self._starting = self._reactor.callLater(delay, self._start)

    def _cancel_start(self) -> None:
        if self._starting is not None and self._starting.active():
            self._starting.cancel()
        self._starting = None

    def _fire_ready(self, is_ready: bool) -> None:
        waiters, self._ready_waiters = self._ready_waiters, []
        for waiter in waiters:
            waiter.callback(is_ready)

    def admitting(self) -> list[WorkerProcess]:
        """Return the processes that may have requests: that which serves, those that drain."""
        return [each for each in self.processes() if each is not self._next]

    def processes(self) -> list[WorkerProcess]:
        """Return the processes: that which serves, that which starts, those that drain."""
        return [each for each in (self._current, self._next, *self._retiring) if each is not None]
