"""The parent of the workers: opens their sockets, starts, reloads and stops them, in order."""

import os
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from twisted.application.service import MultiService
from twisted.internet.defer import Deferred, DeferredList, succeed
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from phpgw import __version__
from phpgw.backend.fpm.endpoint import FpmEndpoint
from phpgw.bus.own_engine.manager import OwnEngine
from phpgw.log_limit import line_limit
from phpgw.metrics import SUMMARY, Metrics
from phpgw.pools.interface import Pools
from phpgw.process.log_file import ReopenableLogFile
from phpgw.process.messages import Message
from phpgw.process.systemd import SystemdNotifier
from phpgw.prometheus.plain_family import observe_plainly
from phpgw.relay.failure_list import FailureList
from phpgw.settings import Settings
from phpgw.snapshot import Snapshot
from phpgw.workers.ended_nodes import EndedNodes
from phpgw.workers.feed_router import FeedRouter
from phpgw.workers.job import WorkerJob
from phpgw.workers.pools_report import PoolsReport
from phpgw.workers.report import Report
from phpgw.workers.slot import LOOK_SECONDS, WorkerSlot
from phpgw.workers.sockets import ListeningSockets
from phpgw.workers.state import observe_workers
from phpgw.workers.survey import Survey
from phpgw.workers.token_keeper import TokenKeeper
from phpgw.workers.worker_process import WorkerProcess

# Seconds that a worker may take to end in addition to the drain timeout.
_EXTRA_SECONDS = 3.0
# Seconds for PHP-FPM and the engine to end, after the workers.
_SHARED_SECONDS = 3.0
# Seconds for all workers to read their certificates again.
_RELOAD_SECONDS = 5.0


class WorkersParent(MultiService):
    """The root service of a gateway with several processes.

    :param sockets: are open already.
    :param fpm: the gateway's own PHP-FPM, which the workers share; ``None`` if PHP is elsewhere.
    :param engine: the gateway's own engine, through which the workers find each other; ``None`` if
        ``--bus`` names one.
    :param pools: the connections that PHP uses, with open sockets.
    """

    log = Logger(observer=line_limit)

    def __init__(
        self,
        reactor: Any,
        settings: Settings,
        *,
        jobs: Sequence[WorkerJob],
        public: ListeningSockets,
        private: ListeningSockets,
        fpm: FpmEndpoint | None,
        engine: OwnEngine | None,
        pools: Pools,
        log_file: ReopenableLogFile | None,
    ) -> None:
        super().__init__()
        self._reactor = reactor
        self._drain_timeout = settings.drain_timeout
        self._public = public
        self._private = private
        self._fpm = fpm
        self._engine = engine
        self._pools = pools
        self._log_file = log_file
        self._reloading: dict[WorkerSlot, Deferred[None]] = {}
        self._rolling: Deferred[None] | None = None
        self._ended_nodes = EndedNodes(self._tell_all)
        self._snapshots = Survey(reactor, "snapshot", Snapshot, self._serving)
        self._surveys: Mapping[str, Survey[Any]] = {
            "snapshot": self._snapshots,
            "metrics": Survey(reactor, "metrics", Report, self._serving, self._own_reports),
            "failures": Survey(reactor, "failures", FailureList, self._serving),
            "pools": Survey(reactor, "pools", PoolsReport, tuple, self._pools_reports),
        }
        self._feed = FeedRouter(self._processes)
        self._tokens = TokenKeeper(reactor, self._processes, self._admitting)
        # What workers that start later have to know; one for each port at most.
        self._notes: list[Mapping[str, Any]] = []
        # Whether each worker was told that another one is ready.
        self._told_ready: dict[WorkerSlot, bool] = {}
        self._slots = [
            WorkerSlot(
                reactor,
                job.number,
                make_job=partial(self._make_job, job),
                sockets={**public.for_worker(job.number), **private.for_worker(job.number)},
                started=self._started,
                received=self._received,
                ended=self._ended,
                drain_seconds=settings.drain_timeout + _EXTRA_SECONDS,
            )
            for job in jobs
        ]
        self._looking = LoopingCall(self._look)
        self._looking.clock = reactor
        self._notifier = SystemdNotifier(reactor, os.environ, self._when_ready, self._status)
        if fpm is not None:
            fpm.observers.append(self._fpm_has_changed)
            fpm.setServiceParent(self)
        if engine is not None:
            engine.setServiceParent(self)
        pools.setServiceParent(self)
        self._notifier.setServiceParent(self)

    def startService(self) -> None:
        super().startService()
        self.log.info(
            "phpgw {version}: {count} workers start", version=__version__, count=len(self._slots)
        )
        for slot in self._slots:
            slot.start()
        self._looking.start(LOOK_SECONDS, now=False)

    def reopen_log(self) -> None:
        """Have each process open its log file again."""
        if self._log_file is not None:
            self._log_file.reopen()
        self._tell_all("reopen_log")

    def reload(self) -> Deferred[None]:
        """Have each process open its log again, and reload certificates and the code of PHP.

        :returns: fires once all is reloaded.
        """
        return Deferred.fromCoroutine(self._reload())

    async def _reload(self) -> None:
        self._notifier.notify_reloading()
        if self._log_file is not None:
            self._log_file.reopen()
        try:
            self._reloading = {slot: Deferred() for slot in self._slots if slot.current}
            waiting = DeferredList([*self._reloading.values()], consumeErrors=True)
            self._tell_all("reload")
            self._pools.reload()
            if self._fpm is not None:
                await self._fpm.reload()
            await _within(waiting, _RELOAD_SECONDS, self._reactor)
        finally:
            self._notifier.notify_reloaded()

    def replace_workers(self) -> Deferred[None]:
        """Replace the workers, one after another, by processes with the code that is there now.

        :returns: fires once all are replaced, or one could not be.
        """
        if self._rolling is None:
            self._rolling = Deferred.fromCoroutine(self._replace_workers())
        return self._rolling

    async def _replace_workers(self) -> None:
        self.log.info("The workers are replaced, one after another")
        for slot in self._slots:
            if not await slot.replace():
                if self.running:
                    self.log.error("The other workers are not replaced, since a new one has failed")
                break
        else:
            self.log.info("All workers are replaced")
        self._rolling = None

    def stopService(self) -> Deferred[None]:
        """Drain the workers together, and end what they share.

        :returns: fires once all processes have ended.
        """
        self.running = 0
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        self.log.info("Stopping {count} workers", count=len(self._slots))
        self._notifier.notify_stopping(self._drain_timeout)
        deadline = self._reactor.seconds() + self._drain_timeout
        # Each worker closes its own; whoever comes now is refused, and does not wait in vain.
        self._public.close()
        self._private.close()
        self._public.remove_files()
        await DeferredList([slot.stop() for slot in self._slots])
        self._private.remove_files()
        if self._looking.running:
            self._looking.stop()
        shared = [each for each in (self._fpm, self._engine) if each is not None]
        await DeferredList([each.stop_within(_SHARED_SECONDS) for each in shared])
        left = deadline - self._reactor.seconds()
        await self._pools.stop_within(max(left, 0))
        self._notifier.stopService()

    def _look(self) -> None:
        for slot in self._slots:
            slot.look()
        self._tell_readiness()
        self._note_missing()

    def _make_job(self, job: WorkerJob) -> WorkerJob:
        return job if self._engine is None else job.with_engine(str(self._engine.socket))

    def _started(self, process: WorkerProcess) -> None:
        """Tell a new process what it has to know."""
        if self._fpm is not None:
            process.tell("fpm", socket=_as_text(self._fpm.socket))
        for note in self._notes:
            process.tell("note", note=note)
        self._ended_nodes.started(process)
        self._tokens.started(process)
        self._feed.started(process)
        self._told_ready.clear()

    def _ended(self, process: WorkerProcess) -> None:
        for survey in self._surveys.values():
            survey.ended(process)
        self._ended_nodes.ended(process)
        self._tokens.ended(process)
        self._feed.ended(process)
        self._note_missing()

    def _fpm_has_changed(self, socket: Path | None) -> None:
        self._tell_all("fpm", socket=_as_text(socket))

    def _received(self, slot: WorkerSlot, process: WorkerProcess, message: Message) -> None:
        match message.get("type"):
            case "alive":
                self._tell_readiness()
                self._note_missing()
            case "note":
                self._pass_on(process, message)
            case "node":
                self._ended_nodes.named(process, message["id"])
            case "node_declared_dead":
                self._ended_nodes.declared_dead(message["id"])
            case "reported" if message["about"] in self._surveys:
                self._surveys[message["about"]].reported(process, message)
            case "survey" if message["about"] in self._surveys:
                self._answer(process, message["about"])
            case "watch":
                self._feed.watch(process, message["wanted"])
            case "events" | "events_read":
                self._feed.pass_on(process, message)
            case "create_token":
                self._tokens.create(process, message)
            case "remove_token":
                self._tokens.remove(process, message)
            case "tokens_known":
                self._tokens.known(process, message["id"])
            case "reloaded":
                waiting = self._reloading.pop(slot, None)
                if waiting is not None:
                    waiting.callback(None)

    def _answer(self, process: WorkerProcess, about: str) -> None:
        """Tell a process what all workers report."""
        asked: Deferred[Any] = self._surveys[about].ask()
        asked.addCallback(
            lambda found: process.tell("surveyed", about=about, value=found.as_json())
        )

    def _pass_on(self, process: WorkerProcess, message: Message) -> None:
        """Pass a note on to all processes but the one that it comes from."""
        note = message["note"]
        if message["lasts"] and note not in self._notes:
            self._notes.append(note)
        for other in self._processes():
            if other is not process:
                other.tell("note", note=note)

    def _tell_readiness(self) -> None:
        """Tell each worker whether another one is ready, if that has changed."""
        for slot in self._slots:
            is_other_ready = any(
                each.state.get("ready", False) for each in self._slots if each is not slot
            )
            if self._told_ready.get(slot) != is_other_ready:
                self._told_ready[slot] = is_other_ready
                slot.tell("others", ready=is_other_ready)

    def _note_missing(self) -> None:
        """Have viewers know of which workers no events come."""
        self._feed.set_missing([slot.number for slot in self._slots if slot.is_missing])

    def _serving(self) -> list[WorkerProcess]:
        return [slot.current for slot in self._slots if slot.current is not None]

    def _processes(self) -> list[WorkerProcess]:
        return [process for slot in self._slots for process in slot.processes()]

    def _admitting(self) -> list[WorkerProcess]:
        """Return the processes that may have requests."""
        return [process for slot in self._slots for process in slot.admitting()]

    def _own_reports(self) -> list[Report]:
        """Return what the parent alone knows."""
        fpm = () if self._fpm is None else self._fpm.observables()
        engine = () if self._engine is None else self._engine.observables()
        known = (*observe_workers(self._slots), *fpm, *engine)
        return [Report([observe_plainly(each) for each in known] + self._pools.families())]

    def _pools_reports(self) -> list[PoolsReport]:
        return [PoolsReport(self._pools.as_json())]

    def _tell_all(self, kind: str, **fields: Any) -> None:
        for slot in self._slots:
            slot.tell(kind, **fields)

    def _when_ready(self) -> Deferred[None]:
        """Return a Deferred that fires once PHP-FPM and the first workers have started."""
        fpm = succeed(None) if self._fpm is None else self._fpm.when_ready()
        ready: Deferred[Any] = DeferredList([fpm, *(slot.ready for slot in self._slots)])
        return ready.addCallback(lambda _: None)

    def _status(self) -> str:
        values = self._snapshots.latest().values
        total = Metrics()
        for name in SUMMARY:
            setattr(total, name, values.get(name, 0))
        count = len(self._serving())
        return f"{count} of {len(self._slots)} workers are ready; {total.summary()}"


def _as_text(socket: Path | None) -> str | None:
    return None if socket is None else str(socket)


async def _within(waiting: Deferred[Any], seconds: float, reactor: Any) -> None:
    """Wait for a Deferred, but not longer than so many seconds."""
    await waiting.addTimeout(seconds, reactor, onTimeoutCancel=lambda *_: None)
