"""Connections to PHP-FPM: how many there are, which one serves whom, and when each is given back.

A kept connection occupies one of PHP-FPM's workers, which meanwhile serves nobody else.
"""

import os
from collections import deque
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IStreamClientEndpoint
from twisted.internet.protocol import Factory
from twisted.logger import Logger
from twisted.python.failure import Failure

from phpgw.backend.connect_errors import NO_WORKER, is_backlog_full, why_not_connected
from phpgw.backend.errors import BackendBroken, BackendBusy, BackendError, BackendUnreachable
from phpgw.backend.fastcgi.connection import Ask, Connection
from phpgw.log_limit import line_limit
from phpgw.metrics import Metrics

# How many asks may wait for a connection; the relay lets them wait elsewhere, long before.
_MAX_WAITING = 1000
# A worker is given back after this time even if there is more to do: others wait for it, too.
_HOLD_SECONDS = 0.1
# A worker that has answered is expected back within this time, and looked after in so many
# turns of the reactor, one after the other, before it is worth a pause.
_MOMENT = 0.002
_QUICK_LOOKS = 50
# Pauses between attempts to connect double from the first to the last.
_FIRST_PAUSE = 0.005
_LAST_PAUSE = 0.1
# How long PHP-FPM may be away, as in a restart, before asks fail at once.
_RESTART_SECONDS = 2.0
# As short as the reactor can wait; and timers may be early by the rounding of a clock.
_TICK = 0.001
_NEVER = float("-inf")

# Lets PHP have this processor, if it wants it.
_yield = getattr(os, "sched_yield", lambda: None)


class _ConnectionFactory(Factory):
    noisy = False

    def __init__(self, pool: "Pool") -> None:
        self._pool = pool

    def buildProtocol(self, addr: object) -> Connection:
        return Connection(self._pool, self._pool.questions)


class Pool:
    """Serves asks, first come, first served, each over a connection that is its own meanwhile.

    :param limit: how many connections there may be.
    :param idle_seconds: how long a connection is kept that nobody uses.
    :param connect_seconds: how long making one may take.
    :ivar questions: how often a new connection is asked whether a worker has taken it: twice,
        until it is known that PHP-FPM goes on after an answer, as all do since PHP 7.3; then once,
        or not at all.
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
        self.questions = 2
        # How long a question to PHP-FPM and its answer take on their way.
        self._distance = 0.0
        self._metrics = metrics
        self._waiting: deque[Ask] = deque()
        # Each with when a worker has taken it, or else when it was opened.
        self._opened: dict[Connection, float] = {}
        self._left: deque[Connection] = deque()
        self._connecting: set[Deferred[Any]] = set()
        # Those without a request, be they with a worker or in PHP-FPM's queue. Each with since
        # when; the one used last at the end, so that the others stay idle.
        self._idle: list[tuple[Connection, float]] = []
        self._idle_timer: IDelayedCall | None = None
        self._look_timer: IDelayedCall | None = None
        self._retry_timer: IDelayedCall | None = None
        # The connection opened last until it has answered, and when the attempt began. The next
        # one is opened when this one proves that PHP had a worker for it, or after a tick: asks
        # that come all at once are better off with the workers there are than in PHP's queue.
        self._newest: Connection | None = None
        self._opened_last = _NEVER
        self._pause = _FIRST_PAUSE
        self._failing_since = self._failed_last = _NEVER
        self._failure: Failure | None = None
        self._closed: Deferred[None] | None = None

    def no_worker(self, seconds: float) -> BackendError:
        """Return the error of an ask that has waited for so long."""
        within = f"{seconds:g} s"
        if self._opened:
            return BackendBusy(NO_WORKER.format(within))
        return BackendUnreachable(f"no connection to PHP within {within}")

    def submit(self, ask: Ask) -> None:
        """Hand this to PHP as soon as there is a connection for it."""
        if not self._waiting and self._hand_over(ask):
            return
        if self._closed is not None:
            ask.fail(BackendBusy("the gateway stopped before a worker took it"))
        elif len(self._waiting) >= _MAX_WAITING:
            ask.fail(BackendUnreachable("too much waits for PHP already"))
        else:
            self._waiting.append(ask)
            self._serve()

    def trouble(self) -> BackendUnreachable | None:
        """Return why there was no connection a moment ago; ``None`` if there was one."""
        if self._failure is None or self._seconds() - self._failed_last > _RESTART_SECONDS:
            return None
        return BackendUnreachable(f"no connection to PHP: {why_not_connected(self._failure)}")

    def waiting(self) -> tuple[Ask, ...]:
        """Return those that have not been handed over."""
        return tuple(self._waiting)

    def withdraw(self, ask: Ask) -> None:
        """Forget about an ask that has not been handed over."""
        self._waiting.remove(ask)

    def ready(self, connection: Connection) -> None:
        """Use a connection that a worker has taken, or has come back to."""
        now = self._seconds()
        if connection.is_unused:
            self.questions = 1
            # It may have waited for a worker, too; one sample alone says little.
            self._distance = min(now - self._opened[connection], 2 * self._distance + _MOMENT)
            self._opened[connection] = now
        self._idle = [entry for entry in self._idle if entry[0] is not connection]
        self._rest(connection, now)

    def released(self, connection: Connection) -> None:
        """Take back a connection after its request."""
        if connection is self._newest:
            self._newest, self._opened_last = None, _NEVER
            self._failed_last, self._pause = _NEVER, _FIRST_PAUSE
        now = self._seconds()
        is_due = now - self._opened[connection] > _HOLD_SECONDS
        if is_due or not connection.is_reusable or self._closed is not None:
            connection.give_back()
        elif connection.shows_free:
            self._rest(connection, now)
        elif self.questions:
            connection.ask_again()
            self._rest(connection, now + self._distance)
        else:
            # Its worker may be busy for long, behind fastcgi_finish_request().
            connection.give_back()

    def _rest(self, connection: Connection, since: float) -> None:
        self._idle.append((connection, since))
        if self._idle_timer is None:
            self._idle_timer = self._reactor.callLater(self._idle_seconds, self._give_back_idle)
        if self._waiting:
            self._serve()

    def left(self, connection: Connection) -> None:
        """Let another take the place of a connection whose script has had its time.

        No more of them are kept than are used.
        """
        self._left.append(connection)
        if len(self._left) > self._limit:
            self._left.popleft().stop()
        if self._waiting:
            self._serve()

    def lost(self, connection: Connection, reason: Failure) -> None:
        """Forget a connection that has ended."""
        if connection in self._left:
            self._left.remove(connection)
        opened = self._opened.pop(connection)
        self._idle = [entry for entry in self._idle if entry[0] is not connection]
        if connection.is_unused and connection.is_asked and connection.has_answered:
            self.log.info(
                "This PHP-FPM hangs up after FCGI_GET_VALUES, as those before PHP 7.3 do: it is "
                "not asked whether a worker is free, so --php-timeout includes the wait for one"
            )
            self.questions = 0
            self._serve()
        elif connection.is_unused and (connection.is_reusable or reason.check(BackendBroken)):
            self._connect_failed(reason, opened)
        else:
            self._serve()
        self._notice_closed()

    def close(self) -> Deferred[None]:
        """Close all connections; fires when they are closed."""
        if self._closed is None:
            self._closed = Deferred()
            for timer in (self._idle_timer, self._look_timer, self._retry_timer):
                if timer is not None:
                    timer.cancel()
            for connecting in list(self._connecting):
                connecting.cancel()
            self._fail_waiting(BackendBusy("the gateway stopped before a worker took it"))
            self._idle.clear()
            for connection in list(self._opened):
                connection.stop()
            self._notice_closed()
        return self._closed

    def _hand_over(self, ask: Ask) -> bool:
        for index in range(len(self._idle) - 1, -1, -1):
            connection = self._idle[index][0]
            if connection.is_ready():
                if not ask.request:
                    ask.complete()
                    return True
                del self._idle[index]
                if connection.send(ask):
                    return True
                self._metrics.php_retries += 1
        return False

    def _serve(self, looks: int = 0) -> None:
        """Do what can be done for those who wait."""
        self._hand_over_waiting()
        if not self._waiting or self._retry_timer is not None:
            return
        now = self._seconds()
        if self._expected(now)[0]:
            # The worker may want this very processor to get ready: with one connection, this
            # makes 19,000 asks a second of 12,000.
            _yield()
            self._hand_over_waiting()
            if not self._waiting:
                return
        soon, asked = self._expected(now)
        room = self._limit + len(self._left) - len(self._opened) - len(self._connecting)
        missing = min(room, len(self._waiting) - soon - asked - len(self._connecting))
        if missing > 0 and now - self._opened_last >= _TICK:
            missing -= 1
            self._open(now)
        if self._look_timer is None and (missing > 0 or self._is_worth_a_look()):
            pause = 0 if soon and looks < _QUICK_LOOKS else _TICK
            self._look_timer = self._reactor.callLater(pause, self._look_again, looks + 1)

    def _hand_over_waiting(self) -> None:
        while self._waiting:
            ask = self._waiting.popleft()
            if not self._hand_over(ask):
                self._waiting.appendleft(ask)
                return

    def _expected(self, now: float) -> tuple[int, int]:
        """Count the workers expected: in a moment without a word, and to answer a question."""
        soon = asked = 0
        for connection, since in self._idle:
            if not connection.is_asked:
                soon += now - since < _MOMENT
            elif connection.is_unused or now - since < _MOMENT:
                asked += 1
        return soon, asked

    def _is_worth_a_look(self) -> bool:
        """Return whether to look for what no event tells: all but PHP-FPM's queue."""
        return any(not (each.is_asked and each.is_unused) for each, _ in self._idle)

    def _look_again(self, looks: int) -> None:
        self._look_timer = None
        self._serve(looks)

    def _open(self, now: float) -> None:
        self._opened_last = now
        connecting = self._endpoint.connect(self._factory)
        self._connecting.add(connecting)
        connecting.addTimeout(self._connect_seconds, self._reactor)
        connecting.addBoth(self._tried, connecting, now)

    def _tried(self, outcome: Any, connecting: Deferred[Any], began: float) -> None:
        self._connecting.remove(connecting)
        if isinstance(outcome, Failure):
            if self._closed is None:
                self._connect_failed(outcome, began)
            return
        now = self._seconds()
        self._distance = max(now - began, self._distance)
        self._opened[outcome] = now
        self._newest = outcome
        self._rest(outcome, now)

    def _connect_failed(self, failure: Failure, began: float) -> None:
        """Try again in a while, or give up.

        :param began: when the attempt did, which has failed just now.
        """
        is_full = is_backlog_full(failure)
        if not (is_full and self._opened):
            now = self._seconds()
            if now - self._failed_last > _RESTART_SECONDS:
                self._failing_since = began
            self._failed_last, self._failure = now, failure
            patience = self._connect_seconds if is_full else _RESTART_SECONDS
            if now - self._failing_since >= patience:
                why = why_not_connected(failure)
                self._fail_waiting(BackendUnreachable(f"no connection to PHP: {why}"))
                return
        if self._waiting and self._retry_timer is None:
            self._metrics.php_retries += 1
            self._retry_timer = self._reactor.callLater(self._pause, self._retry)
            self._pause = min(self._pause * 2, _LAST_PAUSE)

    def _retry(self) -> None:
        self._retry_timer = None
        self._serve()

    def _fail_waiting(self, error: BackendError) -> None:
        # Not those who come again when they hear of it; and they may withdraw others.
        for _ in range(len(self._waiting)):
            if self._waiting:
                self._waiting.popleft().fail(error)

    def _give_back_idle(self) -> None:
        """Close those that were idle long enough, and come back for the next."""
        self._idle_timer = None
        long_ago = self._seconds() - self._idle_seconds
        queued = []
        while self._idle and self._idle[0][1] <= long_ago + _TICK:
            connection, since = self._idle.pop(0)
            if self._waiting and connection.is_unused and connection.is_asked:
                # Its place in PHP-FPM's queue is wanted.
                queued.append((connection, since))
            else:
                connection.give_back()
        pause = self._idle[0][1] - long_ago if self._idle else self._idle_seconds
        self._idle = queued + self._idle
        if self._idle:
            self._idle_timer = self._reactor.callLater(pause, self._give_back_idle)

    def _notice_closed(self) -> None:
        if self._closed is not None and not self._opened and not self._closed.called:
            self._closed.callback(None)
