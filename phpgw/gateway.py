"""The running gateway: start, reload and stop, in order."""

from collections.abc import Callable, Sequence
from typing import Any

from twisted.application.service import IService, MultiService, Service
from twisted.internet.defer import Deferred, DeferredList, maybeDeferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall, deferLater
from twisted.logger import Logger

from phpgw.backend.upstream import Upstream
from phpgw.log_limit import line_limit
from phpgw.pools.interface import Pools
from phpgw.process.listener import Listener
from phpgw.process.log_file import ReopenableLogFile
from phpgw.process.rlimit import raise_limit
from phpgw.process.systemd import SystemdNotifier
from phpgw.relay.hold import Hold
from phpgw.relay.relay import Relay
from phpgw.time_slices import TimeSlices, chunks
from phpgw.websocket.connection_table import ConnectionTable
from phpgw.websocket.drain import STEP_INTERVAL, Drain

# Seconds for clients to reply to the last close frames, and as many for PHP to be told of the last
# disconnects; each is at most an eighth of the drain timeout.
_CLOSE_SECONDS = 1
_MAX_CLOSE_SHARE = 1 / 8
_MIN_CLOSE_SECONDS = 0.1
# The number of connections that are aborted in one turn of the reactor, which takes 4 ms.
_MAX_ABORTS_PER_TURN = 50
# Seconds for connections to PHP, and the processes of the upstream, to end, however late it is.
_MIN_UPSTREAM_SECONDS = 1


class Gateway(MultiService):
    """The root service: starts, reloads and stops the parts of a gateway in order.

    :param public: listeners for browsers; they close first.
    :param private: listeners for PHP alone, if there are any; they close last, since PHP may push
        while it finishes.
    :param hold: keeps events from PHP on demand, but not while the gateway stops.
    :param upstream: the way to PHP, which is closed last.
    :param pools: the connections that PHP uses; they are closed when PHP has finished.
    :param slices: runs long jobs, such as pushes to many clients; they finish before the end, or
        fail.
    :param node: what it shares with other gateways; it starts first, and stops last.
    :param background: sends events and probes to PHP by itself, such as timers; it stops first.
    :param notifier: informs the service manager, until the very end.
    :param drain_timeout: seconds in all for stopping: from closing the ports to closing the
        upstream.
    :param summary: what is where, in a line for the log.
    :param hints: what should be changed, each a line for the log.
    :param reload_token: reads the API's token again; returns whether there is one.
    :param log_file: the log file of twistd, if there is one.
    """

    log = Logger(observer=line_limit)

    def __init__(
        self,
        *,
        reactor: IReactorTime,
        public: Sequence[Listener],
        private: Sequence[Listener],
        table: ConnectionTable,
        relay: Relay,
        hold: Hold,
        upstream: Upstream,
        pools: Pools,
        slices: TimeSlices,
        background: Service,
        node: IService,
        notifier: SystemdNotifier,
        drain_timeout: float,
        summary: str,
        hints: Sequence[str],
        reload_token: Callable[[], bool],
        log_file: ReopenableLogFile | None,
    ) -> None:
        super().__init__()
        self._reactor = reactor
        self._public = public
        self._private = private
        self._table = table
        self._relay = relay
        self._hold = hold
        self._upstream = upstream
        self._pools = pools
        self._slices = slices
        self._background = background
        self._node = node
        self._notifier = notifier
        self._drain_timeout = drain_timeout
        self._summary = summary
        self._hints = hints
        self._reload_token = reload_token
        self._log_file = log_file
        for service in (node, pools, upstream.service, *public, *private, background, notifier):
            service.setServiceParent(self)

    def privilegedStartService(self) -> None:
        raise_limit()
        super().privilegedStartService()

    def startService(self) -> None:
        super().startService()
        self.log.info("{summary}", summary=self._summary)
        for hint in self._hints:
            self.log.warn("{hint}", hint=hint)

    def open_ports(self) -> None:
        """Bind the ports and listen. Nothing is accepted before the gateway starts.

        :raises SystemExit: with status 1 and a line of explanation, if an address is not free.
        :raises InvalidOption: if the socket of a pool cannot be opened.
        """
        for listener in (*self._public, *self._private):
            listener.open()
        self._pools.open()

    def reopen_log(self) -> None:
        """Open the log file again, since another program may have moved it away (logrotate)."""
        if self._log_file is not None:
            self._log_file.reopen()

    def reload(self) -> Deferred[None]:
        """Open the log file again; reload certificates, the token, and the code that PHP runs.

        :returns: fires once all is reloaded.
        """
        return Deferred.fromCoroutine(self._reload())

    async def _reload(self) -> None:
        self._notifier.notify_reloading()
        self.reopen_log()
        try:
            reloaded = [listener.reload() for listener in (*self._public, *self._private)]
            reloaded.append(self._reload_token())
            reloaded.append(self._pools.reload())
            await self._upstream.service.reload()
            if not any(reloaded) and not self._upstream.service.is_reloadable:
                self.log.info(
                    "There is nothing to read again: no port speaks TLS, and there is no token"
                )
        finally:
            self._notifier.notify_reloaded()

    def certificate_ends(self) -> dict[str, float]:
        """Return when the certificates expire, in seconds since the epoch, by endpoint."""
        ends = (listener.certificate_end for listener in (*self._public, *self._private))
        return dict(end for end in ends if end is not None)

    def obstacle(self) -> str | None:
        """Return why no client is admitted; ``None`` while the gateway runs."""
        return None if self.running else "the gateway is starting or stopping"

    def stopService(self) -> Deferred[None]:
        """Drain: close the ports and the connections, let PHP finish, and close the upstream.

        :returns: fires once all has stopped, within the drain timeout and a few seconds.
        """
        self.running = 0
        return Deferred.fromCoroutine(self._drain())

    async def _drain(self) -> None:
        self.log.info("Stopping; {count} clients are connected", count=len(self._table))
        self._notifier.notify_stopping(self._drain_timeout)
        deadline = self._reactor.seconds() + self._drain_timeout
        max_close_seconds = min(_CLOSE_SECONDS, self._drain_timeout * _MAX_CLOSE_SHARE)
        close_seconds = max(max_close_seconds, _MIN_CLOSE_SECONDS)
        stopping: Deferred[Any] = maybeDeferred(self._background.stopService)
        self._hold.close()
        self._relay.lift_disconnect_limit()
        await DeferredList([listener.stopService() for listener in self._public])
        await self._close_connections(deadline - 2 * close_seconds)
        await self._wait_for_connections(close_seconds)
        await self._happens_within(2 * close_seconds, stopping)
        await self._wait_for_jobs(deadline)
        await DeferredList([listener.stopService() for listener in self._private])
        await self._close_upstream(deadline)
        await self._pools.stop_within(max(deadline - self._reactor.seconds(), 0))
        await maybeDeferred(self._node.stopService)
        self._notifier.stopService()

    async def _close_connections(self, deadline: float) -> None:
        """Start the closing handshake of each connection, also of those accepted last."""
        drain = Drain(self._table.connections, deadline - self._reactor.seconds())

        async def step() -> None:
            is_over = not await self._slices.run(drain.close_next(), begins_now=True)
            is_over = is_over and not any(
                listener.has_new_connections() for listener in self._public
            )
            if is_over or self._reactor.seconds() >= deadline:
                stepping.stop()

        stepping = LoopingCall(lambda: Deferred.fromCoroutine(step()))
        stepping.clock = self._reactor
        # Not now: what the sockets have received is read first.
        await stepping.start(STEP_INTERVAL, now=self._drain_timeout == 0)
        self._table.is_draining = True
        await self._slices.run(drain.close_rest(), begins_now=True)

    async def _wait_for_connections(self, seconds: float) -> None:
        """Wait until all connections have closed, and abort those that take longer."""
        if not await self._happens_within(seconds, self._table.when_empty()):
            await self._abort_connections()
            # An aborted connection leaves the table in the next turn of the reactor.
            await self._happens_within(seconds / 2, self._table.when_empty())

    async def _abort_connections(self) -> None:
        for some in chunks(self._table.connections(), _MAX_ABORTS_PER_TURN):
            for connection in some:
                connection.abort()
            # Most of the work is in the next turn, in which connectionLost is called.
            await deferLater(self._reactor, 0)

    async def _wait_for_jobs(self, deadline: float) -> None:
        """Wait until PHP was told of all disconnects, and all pushes are done."""
        left = max(deadline - self._reactor.seconds(), 0)
        are_pushes_done = self._happens_within(left, self._slices.when_idle())
        if not await self._happens_within(left, self._relay.when_idle()):
            self.log.warn(
                "PHP does not know that {count} clients have left",
                count=self._relay.disconnects_waiting,
            )
        if not await are_pushes_done:
            self.log.warn("{count} pushes are done in part alone", count=len(self._slices))
            self._slices.stop()

    async def _close_upstream(self, deadline: float) -> None:
        seconds = max(deadline - self._reactor.seconds(), _MIN_UPSTREAM_SECONDS)
        await self._happens_within(seconds, self._upstream.backend.close())
        await self._upstream.service.stop_within(seconds)

    def _happens_within(self, seconds: float, event: Deferred[None]) -> Deferred[bool]:
        """Return a Deferred of whether the event happens in time."""
        in_time = event.addCallback(lambda _: True)
        return in_time.addTimeout(seconds, self._reactor, onTimeoutCancel=lambda *_: False)
