"""The pools, in the gateway: opens their sockets, starts their process, and watches it.

The process serves all pools, so that PHP's work with a database takes no time from browsers. Its
listening sockets are opened here: PHP that connects while the process is started again waits for
it.
"""

import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from phpgw.escape import printable
from phpgw.log_limit import line_limit
from phpgw.pools.figures import PoolFigures
from phpgw.pools.front import open_socket
from phpgw.pools.interface import Pools
from phpgw.pools.job import make_job
from phpgw.pools.log_messages import KIND, log_message
from phpgw.pools.metrics import describe_pool, pool_families
from phpgw.process.message_process import MessageProcess, program_command
from phpgw.process.messages import Message
from phpgw.process.restart_delay import STABLE_SECONDS, RestartDelay
from phpgw.process.unix_socket import SocketFile
from phpgw.prometheus.plain_family import PlainFamily
from phpgw.settings.pool_config import PoolConfig

# Seconds for the process to end, after PHP had its time.
_EXTRA_SECONDS = 2.0
_LOOK_SECONDS = 1.0
# How many looks in a row may see no sign of life. Looks are counted, not seconds: this process may
# have been stopped itself.
_MAX_SILENCE = 30
# How many looks in a row may find no process that is ready, before PHP is told so.
_MAX_UNREADY = 10
# How many connections of PHP to one pool are closed at a look.
_MAX_CLOSED = 1000
_NOT_READY = "the process of the pools is not ready"


class OwnPools(Pools):
    """The pools of a gateway, and their process.

    :ivar restarts: how often the process has ended by itself, to be started again.
    """

    log = Logger(observer=line_limit)

    def __init__(self, reactor: Any, pools: Sequence[PoolConfig], log_level: str) -> None:
        self.restarts = 0
        self._reactor = reactor
        self._pools = {pool.name: pool for pool in pools}
        self._job = make_job(pools, log_level)
        self._sockets: dict[str, socket.socket] = {}
        self._files: list[SocketFile] = []
        self._process: MessageProcess | None = None
        self._figures: dict[str, PoolFigures] = {}
        self._forget_figures()
        self._problem = _NOT_READY
        self._silence = 0
        self._unready = 0
        self._delay = RestartDelay()
        self._call: IDelayedCall | None = None
        self._looking = LoopingCall(self._look)
        self._looking.clock = reactor

    @property
    def pid(self) -> int | None:
        """Return the id of the process; ``None`` if there is none."""
        return None if self._process is None else self._process.pid

    def open(self) -> None:
        """See :meth:`.Pools.open`."""
        for name, pool in self._pools.items():
            if name not in self._sockets:
                self._sockets[name] = open_socket(pool)
                self._sockets[name].setblocking(False)
                if pool.socket is not None:
                    file = SocketFile.at(Path(pool.socket))
                    self._files += [file] if file is not None else []

    def privilegedStartService(self) -> None:
        """Open the sockets, while the process may still do so."""
        super().privilegedStartService()
        self.open()

    def startService(self) -> None:
        """Start the process."""
        super().startService()
        self.open()
        for pool in self._pools.values():
            self.log.info(
                "Pool {pool}: up to {size} connections to {server}; PHP connects to {where}",
                pool=pool.name,
                size=pool.size,
                server=str(pool.server),
                where=pool.where,
            )
        self._start()
        self._looking.start(_LOOK_SECONDS, now=False)

    def reload(self) -> bool:
        """See :meth:`.Pools.reload`."""
        if self._process is not None:
            self._process.tell("reload")
        return True

    def stopService(self) -> Deferred[None]:
        """Stop the process; fire when it has ended."""
        return self.stop_within(_EXTRA_SECONDS)

    def stop_within(self, seconds: float) -> Deferred[None]:
        """See :meth:`.Pools.stop_within`."""
        if not self.running:
            return succeed(None)
        super().stopService()
        self._cancel_call()
        if self._looking.running:
            self._looking.stop()
        # The process closes its own.
        for each in self._sockets.values():
            each.close()
        for file in self._files:
            file.remove()
        if self._process is None:
            return succeed(None)
        return self._process.stop_within(seconds + _EXTRA_SECONDS, seconds=seconds)

    def families(self) -> list[PlainFamily]:
        """See :meth:`.Pools.families`."""
        sizes = {name: pool.size for name, pool in self._pools.items()}
        return pool_families(self._figures, sizes, self.restarts)

    def as_json(self) -> list[dict[str, Any]]:
        """See :meth:`.Pools.as_json`."""
        return [
            {
                "name": name,
                "server": str(pool.server),
                "where": pool.where,
                "size": pool.size,
                **(described := describe_pool(self._figures[name])),
                "problem": self._problem or described["problem"],
            }
            for name, pool in self._pools.items()
        ]

    def _start(self) -> None:
        process = MessageProcess(self._reactor, "The pools' process", self._received, self._ended)
        sockets = {name: each.fileno() for name, each in self._sockets.items()}
        self._silence = 0
        try:
            process.spawn(program_command("pools.main"), self._job, sockets)
        except OSError as error:
            self._restart_later(f"cannot be started: {error}")
        else:
            self._process = process

    def _received(self, process: MessageProcess, message: Message) -> None:
        self._silence = 0
        match message.get("type"):
            case "ready":
                self._problem = ""
                self.log.info("The pools are ready, process {pid}", pid=process.pid)
                self._schedule(STABLE_SECONDS, self._delay.reset)
            case "figures":
                self._figures |= {
                    name: PoolFigures.from_json(figures)
                    for name, figures in message["pools"].items()
                }
            case "failed":
                self._problem = printable(str(message["reason"]))
                self.log.error("The pools cannot start: {reason}", reason=self._problem)
            case kind if kind == KIND:
                log_message(message)

    def _ended(self, process: MessageProcess, how: str) -> None:
        self._process = None
        self._forget_figures()
        if self.running:
            self._restart_later(f"ended ({how})")

    def _restart_later(self, how: str) -> None:
        delay = self._delay.take()
        self._problem = self._problem or _NOT_READY
        self.log.error(
            "The process of the pools {how}; it is started again in {delay} s",
            how=how,
            delay=delay,
        )
        self.restarts += 1
        self._schedule(delay, self._start)

    def _look(self) -> None:
        """Count the silence of the process, and kill one that hangs."""
        self._unready = self._unready + 1 if self._problem else 0
        if self._unready >= _MAX_UNREADY:
            self._close_waiting()
        self._silence += 1
        if self._silence == _MAX_SILENCE and self._process is not None:
            self.log.error(
                "The process of the pools has hung for {seconds} s; it is killed, and started "
                "again",
                seconds=_MAX_SILENCE * _LOOK_SECONDS,
            )
            self._process.kill()

    def _close_waiting(self) -> None:
        """Close the connections of PHP that wait for a process: it may be long until there is one.

        PHP would wait for a minute, for example with its drivers for MySQL.
        """
        for each in self._sockets.values():
            for _ in range(_MAX_CLOSED):
                try:
                    each.accept()[0].close()
                except OSError:
                    break

    def _forget_figures(self) -> None:
        self._figures = {name: PoolFigures() for name in self._pools}

    def _schedule(self, seconds: float, call: Any) -> None:
        """Schedule a call in place of the one that is scheduled."""
        self._cancel_call()
        self._call = self._reactor.callLater(seconds, call)

    def _cancel_call(self) -> None:
        if self._call is not None and self._call.active():
            self._call.cancel()
