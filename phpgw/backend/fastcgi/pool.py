"""A pool of connections to PHP-FPM.

A connection that is kept open occupies one of PHP-FPM's workers, which serves nothing else then.
"""

import os
from collections import deque
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IStreamClientEndpoint
from twisted.internet.protocol import Factory
from twisted.logger import Logger
from twisted.python.failure import Failure

from phpgw.backend.errors import BackendBroken, BackendBusy, BackendError, BackendUnreachable
from phpgw.backend.fastcgi.connect_errors import is_backlog_full, why_not_connected
from phpgw.backend.fastcgi.connection import FastCgiConnection, FastCgiRequest
from phpgw.backend.fastcgi.worker_shortage import NO_WORKER
from phpgw.log_limit import line_limit
from phpgw.metrics import Metrics

# How many requests may wait for a connection. The relay's queue lets far fewer through.
_MAX_WAITING = 1000
# A worker that has been kept for this long is released even if requests wait: other clients of
# PHP-FPM wait for it, too.
_MAX_KEEP_SECONDS = 0.1
# A worker that has replied is expected to be ready again within this time. It is checked in so
# many turns of the reactor, one after the other, and after pauses from then on.
_SOON_SECONDS = 0.002
_MAX_QUICK_CHECKS = 50
# Delays between attempts to connect double from the first to the last.
_FIRST_RETRY_DELAY = 0.005
_MAX_RETRY_DELAY = 0.1
# How long PHP-FPM may be away, as in a restart, before requests fail at once.
_RESTART_SECONDS = 2.0
# The shortest delay that a reactor has; timers may also be early by the rounding of a clock.
_TICK = 0.001
_NEVER = float("-inf")

# Lets PHP have this processor, if it wants it.
_yield = getattr(os, "sched_yield", lambda: None)


class _ConnectionFactory(Factory):
    noisy = False

    def __init__(self, pool: "FastCgiPool") -> None:
        self._pool = pool

    def buildProtocol(self, addr: object) -> FastCgiConnection:
        return FastCgiConnection(self._pool, self._pool.queries)


class FastCgiPool:
    """A connection pool that serves requests in order, one at a time on each connection.

    :param limit: how many connections there may be.
    :param idle_seconds: how long an idle connection is kept.
    :param connect_seconds: the timeout for opening a connection.
    :ivar queries: how many queries are sent on a new connection to find out whether a worker has
        accepted it. Two, until it is known that PHP-FPM keeps a connection after its reply to a
        query, as it does since PHP 7.3; then one, or none.
    """

    log = Logger(observer=line_limit)

    def __init__(
        self,
        *,
        reactor: Any,
        endpoint: IStreamClientEndpoint,
        limit: int,
        idle_seconds: float,
        connect_seconds: float,
        metrics: Metrics,
    ) -> None:
        self._reactor = reactor
        self._seconds = reactor.seconds
        self._endpoint = endpoint
        self._factory = _ConnectionFactory(self)
        self._limit = limit
        self._idle_seconds = idle_seconds
        self._connect_seconds = connect_seconds
        self.queries = 2
        # The time from a query to PHP-FPM to its reply.
        self._round_trip = 0.0
        self._metrics = metrics
        self._waiting: deque[FastCgiRequest] = deque()
        # All connections, each with when a worker accepted it, or else when it was opened.
        self._opened: dict[FastCgiConnection, float] = {}
        self._abandoned: deque[FastCgiConnection] = deque()
        self._connecting: set[Deferred[Any]] = set()
        # Connections without a request, with a worker or in PHP-FPM's listen queue, each with
        # since when. The one used last is at the end and is used next, so that the others stay
        # idle and get closed.
        self._idle: list[tuple[FastCgiConnection, float]] = []
        self._idle_timer: IDelayedCall | None = None
        self._check_timer: IDelayedCall | None = None
        self._retry_timer: IDelayedCall | None = None
        # The newest connection until PHP has replied there, and when connecting began. The next
        # connection is opened once this one shows that PHP had a worker for it, or after a tick:
        # many requests at once are served faster by the workers there are than in PHP's queue.
        self._newest: FastCgiConnection | None = None
        self._opened_last = _NEVER
        self._retry_delay = _FIRST_RETRY_DELAY
        self._failing_since = self._failed_last = _NEVER
        self._failure: Failure | None = None
        self._closed: Deferred[None] | None = None

    def no_worker_error(self, seconds: float) -> BackendError:
        """Return the error of a request that has waited for so long."""
        within = f"{seconds:g} s"
        if self._opened:
            return BackendBusy(NO_WORKER.format(within))
        return BackendUnreachable(f"no connection to PHP within {within}")

    def submit(self, request: FastCgiRequest) -> None:
        """Send a request as soon as there is a connection for it."""
        if not self._waiting and self._try_send(request):
            return
        if self._closed is not None:
            request.fail(BackendBusy("the gateway stopped before a worker took it"))
        elif len(self._waiting) >= _MAX_WAITING:
            request.fail(BackendUnreachable("too much waits for PHP already"))
        else:
            self._waiting.append(request)
            if len(self._waiting) == 1:
                # No worker was ready a moment ago.
                self._await_worker()
            else:
                self._serve()

    def recent_error(self) -> BackendUnreachable | None:
        """Return why connecting failed a moment ago; ``None`` if it did not."""
        if self._failure is None or self._seconds() - self._failed_last > _RESTART_SECONDS:
            return None
        return BackendUnreachable(f"no connection to PHP: {why_not_connected(self._failure)}")

    def waiting(self) -> tuple[FastCgiRequest, ...]:
        """Return the requests that have not been sent."""
        return tuple(self._waiting)

    def count_connections(self) -> dict[str, int]:
        """Return how many connections there are, by state.

        The states are ``connecting``, ``queued`` (in PHP-FPM's listen queue), ``idle`` (a worker
        waits there for a request) and ``busy``.
        """
        queued = sum(each.is_queried and each.is_unused for each, _ in self._idle)
        return {
            "connecting": len(self._connecting),
            "queued": queued,
            "idle": len(self._idle) - queued,
            "busy": len(self._opened) - len(self._idle),
        }

    def withdraw(self, request: FastCgiRequest) -> None:
        """Forget a request that has not been sent."""
        self._waiting.remove(request)

    def ready(self, connection: FastCgiConnection) -> None:
        """Use a connection whose worker has replied to a query, and waits for a request."""
        now = self._seconds()
        if connection.is_unused:
            self.queries = 1
            # This includes a wait for a worker, so one sample alone says little.
            elapsed = now - self._opened[connection]
            self._round_trip = min(elapsed, 2 * self._round_trip + _SOON_SECONDS)
            self._opened[connection] = now
        self._idle = [entry for entry in self._idle if entry[0] is not connection]
        self._add_idle(connection, now)

    def released(self, connection: FastCgiConnection) -> None:
        """Take a connection back after its request."""
        if connection is self._newest:
            self._newest, self._opened_last = None, _NEVER
            self._failed_last, self._retry_delay = _NEVER, _FIRST_RETRY_DELAY
        now = self._seconds()
        is_due = now - self._opened[connection] > _MAX_KEEP_SECONDS
        if is_due or not connection.is_reusable or self._closed is not None:
            connection.close()
        elif connection.shows_idle:
            self._add_idle(connection, now)
        elif self.queries:
            connection.query()
            self._add_idle(connection, now + self._round_trip)
        else:
            # Its worker may be busy for long, after fastcgi_finish_request().
            connection.close()

    def _add_idle(self, connection: FastCgiConnection, since: float) -> None:
        self._idle.append((connection, since))
        if self._idle_timer is None:
            self._idle_timer = self._reactor.callLater(self._idle_seconds, self._close_idle)
        if self._waiting:
            self._serve()

    def abandoned(self, connection: FastCgiConnection) -> None:
        """Let another connection take the place of one whose script has timed out.

        Keep as many of these as there may be other connections.
        """
        self._abandoned.append(connection)
        if len(self._abandoned) > self._limit:
            self._abandoned.popleft().stop()
        if self._waiting:
            self._serve()

    def lost(self, connection: FastCgiConnection, reason: Failure) -> None:
        """Forget a connection that has ended."""
        if connection in self._abandoned:
            self._abandoned.remove(connection)
        opened = self._opened.pop(connection)
        self._idle = [entry for entry in self._idle if entry[0] is not connection]
        if connection.is_unused and connection.is_queried and connection.has_replied:
            self.log.info(
                "This PHP-FPM hangs up after FCGI_GET_VALUES, as those before PHP 7.3 do: it is "
                "not asked whether a worker is free, so --php-timeout includes the wait for one"
            )
            self.queries = 0
            self._serve()
        elif connection.is_unused and (connection.is_reusable or reason.check(BackendBroken)):
            self._connect_failed(reason, opened)
        else:
            self._serve()
        self._fire_closed()

    def close(self) -> Deferred[None]:
        """Close all connections, and fail all requests; fire when the connections are closed."""
        if self._closed is None:
            self._closed = Deferred()
            for timer in (self._idle_timer, self._check_timer, self._retry_timer):
                if timer is not None:
                    timer.cancel()
            for connecting in list(self._connecting):
                connecting.cancel()
            self._fail_waiting(BackendBusy("the gateway stopped before a worker took it"))
            self._idle.clear()
            for connection in list(self._opened):
                connection.stop()
            self._fire_closed()
        return self._closed

    def _try_send(self, request: FastCgiRequest) -> bool:
        """Send a request if a worker waits for one; return whether it did."""
        for index in range(len(self._idle) - 1, -1, -1):
            connection = self._idle[index][0]
            if connection.is_ready():
                if not request.data:
                    request.complete()
                    return True
                del self._idle[index]
                if connection.send(request):
                    return True
                self._metrics.php_retries += 1
        return False

    def _serve(self, checks: int = 0) -> None:
        """Send waiting requests, or open a connection, or check again later.

        :param checks: how many checks there were, one after the other.
        """
        self._send_waiting()
        if self._waiting:
            self._await_worker(checks)

    def _await_worker(self, checks: int = 0) -> None:
        """Send waiting requests soon: open a connection, or check again later."""
        if self._retry_timer is not None:
            return
        now = self._seconds()
        soon, queried = self._count_expected(now)
        if soon:
            # The worker may need this processor to get ready: with one connection, this makes
            # 19,000 requests a second of 12,000.
            _yield()
            self._send_waiting()
            if not self._waiting:
                return
            soon, queried = self._count_expected(now)
        room = self._limit + len(self._abandoned) - len(self._opened) - len(self._connecting)
        missing = min(room, len(self._waiting) - soon - queried - len(self._connecting))
        if missing > 0 and now - self._opened_last >= _TICK:
            missing -= 1
            self._open(now)
        if self._check_timer is None and (missing > 0 or self._has_silent_worker()):
            pause = 0 if soon and checks < _MAX_QUICK_CHECKS else _TICK
            self._check_timer = self._reactor.callLater(pause, self._check, checks + 1)

    def _send_waiting(self) -> None:
        while self._waiting:
            request = self._waiting.popleft()
            if not self._try_send(request):
                self._waiting.appendleft(request)
                return

    def _count_expected(self, now: float) -> tuple[int, int]:
        """Return how many workers are expected soon: without notice, and by a reply to a query."""
        soon = queried = 0
        for connection, since in self._idle:
            if not connection.is_queried:
                soon += now - since < _SOON_SECONDS
            elif connection.is_unused or now - since < _SOON_SECONDS:
                queried += 1
        return soon, queried

    def _has_silent_worker(self) -> bool:
        """Return whether a worker may get ready without notice: not in PHP-FPM's listen queue."""
        return any(not (each.is_queried and each.is_unused) for each, _ in self._idle)

    def _check(self, checks: int) -> None:
        self._check_timer = None
        self._serve(checks)

    def _open(self, now: float) -> None:
        self._opened_last = now
        connecting = self._endpoint.connect(self._factory)
        self._connecting.add(connecting)
        connecting.addTimeout(self._connect_seconds, self._reactor)
        connecting.addBoth(self._connect_done, connecting, now)

    def _connect_done(self, outcome: Any, connecting: Deferred[Any], began: float) -> None:
        self._connecting.remove(connecting)
        if isinstance(outcome, Failure):
            if self._closed is None:
                self._connect_failed(outcome, began)
            return
        now = self._seconds()
        self._round_trip = max(now - began, self._round_trip)
        self._opened[outcome] = now
        self._newest = outcome
        self._add_idle(outcome, now)

    def _connect_failed(self, failure: Failure, began: float) -> None:
        """Retry after a delay, or fail all requests that wait.

        :param began: when the attempt began.
        """
        is_full = is_backlog_full(failure)
        if not (is_full and self._opened):
            now = self._seconds()
            if now - self._failed_last > _RESTART_SECONDS:
                self._failing_since = began
            self._failed_last, self._failure = now, failure
            timeout = self._connect_seconds if is_full else _RESTART_SECONDS
            if now - self._failing_since >= timeout:
                why = why_not_connected(failure)
                self._fail_waiting(BackendUnreachable(f"no connection to PHP: {why}"))
                return
        if self._waiting and self._retry_timer is None:
            self._metrics.php_retries += 1
            self._retry_timer = self._reactor.callLater(self._retry_delay, self._retry)
            self._retry_delay = min(self._retry_delay * 2, _MAX_RETRY_DELAY)

    def _retry(self) -> None:
        self._retry_timer = None
        self._serve()

    def _fail_waiting(self, error: BackendError) -> None:
        # A request that fails may cause another one, which is left alone, and may withdraw others.
        for _ in range(len(self._waiting)):
            if self._waiting:
                self._waiting.popleft().fail(error)

    def _close_idle(self) -> None:
        """Close the connections that were idle for long enough, and set the timer for the next."""
        self._idle_timer = None
        long_ago = self._seconds() - self._idle_seconds
        queued = []
        while self._idle and self._idle[0][1] <= long_ago + _TICK:
            connection, since = self._idle.pop(0)
            if self._waiting and connection.is_unused and connection.is_queried:
                # A request needs its place in PHP-FPM's listen queue.
                queued.append((connection, since))
            else:
                connection.close()
        pause = self._idle[0][1] - long_ago if self._idle else self._idle_seconds
        self._idle = queued + self._idle
        if self._idle:
            self._idle_timer = self._reactor.callLater(pause, self._close_idle)

    def _fire_closed(self) -> None:
        """Fire the Deferred of :meth:`close` once the last connection has ended."""
        if self._closed is not None and not self._opened and not self._closed.called:
            self._closed.callback(None)
