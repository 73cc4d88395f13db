"""The running gateway: what starts, and in which order it stops."""

from collections.abc import Sequence

from twisted.application.service import MultiService, Service
from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall, deferLater
from twisted.logger import Logger

from phpgw.backend.upstream import Upstream
from phpgw.log_limit import line_limit
from phpgw.process.listener import Listener
from phpgw.process.log_file import ReopenableLogFile
from phpgw.process.rlimit import raise_limit
from phpgw.process.systemd import SystemdNotifier
from phpgw.relay.hold import Hold
from phpgw.relay.relay import Relay
from phpgw.time_slices import TimeSlices, chunks
from phpgw.websocket.connection_table import ConnectionTable
from phpgw.websocket.drain import STEP_INTERVAL, Drain

# How long clients may take to answer the last close frame, and PHP to hear of the last of them;
# less where that would be more than an eighth of all the time there is.
_FAREWELL_SECONDS = 1
_FAREWELL_SHARE = 1 / 8
_SHORTEST_FAREWELL = 0.1
# How many connections are aborted in a turn of the reactor, which takes 4 ms.
_MOST_ABORTS = 50
# How long connections to PHP and a PHP-FPM of our own have in any case, to end by themselves.
_LAST_SECONDS = 1


class Gateway(MultiService):
    """Starts by listening; stops by draining.

    :param public: listeners for browsers; they close first.
    :param private: listeners for pushes alone, if there are any; they close last, since PHP may
        push while it finishes.
    :param hold: what may keep events from PHP, though not while it stops.
    :param upstream: the way to PHP, which is closed last.
    :param slices: runs what is for many clients; what is under way finishes, or fails.
    :param background: what asks PHP by itself, such as timers, and is the first to stop.
    :param notifier: whom the service manager hears it from, to the very end.
    :param drain_timeout: seconds for all of it: sending the clients away, each once PHP has
        answered it, and what follows.
    :param summary: what is where, in a line for the log.
    :param log_file: where the log goes, if it is a file of twistd's.
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
        slices: TimeSlices,
        background: Service,
        notifier: SystemdNotifier,
        drain_timeout: float,
        summary: str,
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
        self._slices = slices
        self._background = background
        self._notifier = notifier
        self._drain_timeout = drain_timeout
        self._summary = summary
        self._log_file = log_file
        for service in (upstream.service, *public, *private, background, notifier):
            service.setServiceParent(self)

    def privilegedStartService(self) -> None:
        raise_limit()
        super().privilegedStartService()

    def startService(self) -> None:
        super().startService()
        self.log.info("{summary}", summary=self._summary)
        for hint in self._upstream.hints:
            self.log.warn("{hint}", hint=hint)

    def open_ports(self) -> None:
        """Listen already, though nobody is served before it starts.

        :raises SystemExit: with status 1 and a line of explanation, if an address is not free.
        """
        for listener in (*self._public, *self._private):
            listener.open()

    def reopen_log(self) -> None:
        """Go on in a new log file, if there is one that other programs may have moved away."""
        if self._log_file is not None:
            self._log_file.reopen()

    def reload(self) -> Deferred[None]:
        """Read again what may change while it runs: certificates, and the code that PHP runs;
        and open the log file anew.
        """
        return Deferred.fromCoroutine(self._reload())

    async def _reload(self) -> None:
        self._notifier.notify_reloading()
        self.reopen_log()
        try:
            reloaded = [listener.reload() for listener in (*self._public, *self._private)]
            await self._upstream.service.reload()
            if not any(reloaded) and not self._upstream.service.is_reloadable:
                self.log.info("There is nothing to read again, since no port speaks TLS")
        finally:
            self._notifier.notify_reloaded()

    def stopService(self) -> Deferred[None]:
        """Listen no more, let PHP finish and send the clients away, let go of PHP."""
        self.running = 0
        return Deferred.fromCoroutine(self._drain())

    async def _drain(self) -> None:
        self.log.info("Stopping; {count} clients are connected", count=len(self._table))
        self._notifier.notify_stopping(self._drain_timeout)
        deadline = self._reactor.seconds() + self._drain_timeout
        share = self._drain_timeout * _FAREWELL_SHARE
        farewell = max(min(_FAREWELL_SECONDS, share), _SHORTEST_FAREWELL)
        self._background.stopService()
        self._hold.close()
        self._relay.lift_disconnect_limit()
        await DeferredList([listener.stopService() for listener in self._public])
        await self._send_off(deadline - 2 * farewell)
        if not await self._within(farewell, self._table.when_empty()):
            await self._abort()
            # Which takes a turn of the reactor.
            await self._within(farewell / 2, self._table.when_empty())
        left = max(deadline - self._reactor.seconds(), 0)
        pushes_end = self._within(left, self._slices.when_idle())
        if not await self._within(left, self._relay.when_idle()):
            self.log.warn(
                "PHP does not know that {count} clients have left",
                count=self._relay.disconnects_waiting,
            )
        if not await pushes_end:
            self.log.warn("{count} pushes are done in part alone", count=len(self._slices))
            self._slices.stop()
        await DeferredList([listener.stopService() for listener in self._private])
        left = max(deadline - self._reactor.seconds(), _LAST_SECONDS)
        await self._within(left, self._upstream.backend.close())
        await self._upstream.service.stop_within(left)
        self._notifier.stopService()

    async def _send_off(self, deadline: float) -> None:
        """Send the clients away, also those who were about to connect when the ports closed."""
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
        # Not before what has come until now was read off the sockets.
        await stepping.start(STEP_INTERVAL, now=self._drain_timeout == 0)
        self._table.is_draining = True
        await self._slices.run(drain.close_rest(), begins_now=True)

    async def _abort(self) -> None:
        """End all connections without waiting for their peers."""
        for some in chunks(self._table.connections(), _MOST_ABORTS):
            for connection in some:
                connection.abort()
            # Most of the work comes in the next turn, when each hears that it is lost.
            await deferLater(self._reactor, 0)

    def _within(self, seconds: float, event: Deferred[None]) -> Deferred[bool]:
        """Whether the event comes in time."""
        in_time = event.addCallback(lambda _: True)
        return in_time.addTimeout(seconds, self._reactor, onTimeoutCancel=lambda *_: False)
