"""Telling PHP who has left: of each client that it has let in once, and last of all.

PHP is told until it has heard, and never again once it may have. A web server that has no answer
from PHP leaves that open: PHP may not be there, or have broken off in the middle of this event. So
it is found out whether PHP is there; if it is, it has heard, as far as anybody can know.
"""

from collections import Counter, deque
from collections.abc import Hashable
from functools import partial

import attrs
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from phpgw.backend.error_pages import is_before_php, is_without_php
from phpgw.backend.errors import (
    BackendBroken,
    BackendBusy,
    BackendError,
    BackendTimeout,
    BackendUnreachable,
    ScriptNotFound,
)
from phpgw.backend.event import Event
from phpgw.backend.reply import Reply
from phpgw.hub.client import Client
from phpgw.log_limit import line_limit
from phpgw.metrics import Metrics
from phpgw.relay.queue import Turn, Turns
from phpgw.relay.replies import PendingReply, Replies, unusable
from phpgw.relay.retry import RetryingBackend
from phpgw.web.addresses import network_of

# Seconds until it is looked anew whether PHP is back.
_AWAY_SECONDS = 2
# How many may have left without PHP knowing, half of them from one network; each takes about 2 KB.
_MOST = 50_000
# How many line up at once when PHP is back.
_MOST_IN_A_TURN = 500
# Seconds for which nothing more is said about those that PHP will never know of.
_SILENCE = 60
_GATEWAY_TIMEOUT = 504


@attrs.frozen
class _Departure:
    """A client that has left, with the code and the reason.

    What is noted on the client until PHP is told of it counts.
    """

    client: Client
    code: int
    reason: str

    def event(self, now: float) -> Event:
        identity = self.client.identity_at(now)
        return Event("disconnect", self.reason.encode(), identity, code=self.code)


class _NotAsked(BackendUnreachable):
    """A web server has not passed the event on to PHP."""


class _Doubtful(BackendError):
    """A web server has no answer from PHP, which may have broken off or not be there."""


class DisconnectQueue:
    """Keeps who has left until PHP knows."""

    log = Logger(observer=line_limit)

    def __init__(
        self,
        reactor: IReactorTime,
        php: RetryingBackend,
        replies: Replies,
        turns: Turns,
        metrics: Metrics,
        has_web_server: bool = False,
    ) -> None:
        self._reactor = reactor
        self._php = php
        self._replies = replies
        self._turns = turns
        self._metrics = metrics
        self._has_web_server = has_web_server
        self._untold = 0
        self._places: Counter[Hashable] = Counter()
        self._lost = 0
        self._silent_until = 0.0
        # Whether PHP was not there when it was tried last; what is left for when it is back; and
        # what looks whether it is.
        self._is_away = self._has_said = False
        self._left: deque[_Departure] = deque()
        self._look_call: IDelayedCall | None = None
        # Of what PHP may have heard or not, until it is found out whether PHP is there.
        self._doubtful: list[tuple[_Departure, Failure]] = []
        self._is_probing = False
        self._waiters: list[Deferred[None]] = []

    def __len__(self) -> int:
        """Of how many PHP does not know yet."""
        return self._untold

    def bid(self, client: Client, code: int, reason: str) -> None:
        """Tell PHP that this client has left.

        :param code: how its connection ended: RFC 6455, sections 7.1.5 and 7.4.1.
        """
        place = network_of(client.handshake.peer_host)
        if self._untold >= _MOST or (place is not None and self._places[place] >= _MOST // 2):
            client.is_finished = True
            self._lose(client)
            return
        self._places[place] += 1
        self._count(1)
        self._try(_Departure(client, code, reason))

    async def when_all_are_told(self) -> None:
        """Returns once PHP knows of all that have left."""
        if self._untold:
            told: Deferred[None] = Deferred()
            self._waiters.append(told)
            await told

    def _lose(self, client: Client) -> None:
        self._metrics.disconnects_lost += 1
        self._lost += 1
        now = self._reactor.seconds()
        if now >= self._silent_until:
            self.log.error(
                "PHP will never know that {lost} clients have left, the last of them {client_id}; "
                "it is yet to be told of {count} others",
                lost=self._lost,
                client_id=client.id,
                count=self._untold,
            )
            self._lost = 0
            self._silent_until = now + _SILENCE

    def _try(self, departure: _Departure) -> None:
        if self._is_away or self._php.is_away:
            self._leave(departure)
        else:
            self._take_turn(departure)

    def _take_turn(self, departure: _Departure) -> None:
        begin = partial(self._tell, departure)
        self._turns.take(Turn(begin, self._turns.disconnects))

    # While PHP is not there

    def _leave(self, departure: _Departure) -> None:
        """Leave it for when PHP is back."""
        self._left.append(departure)
        self._look_later()

    def _say_that_it_is_away(self, failure: Failure, departure: _Departure) -> None:
        """Log it once for all who leave until PHP has heard of all of them."""
        if not self._has_said:
            self._has_said = True
            self.log.warn(
                "PHP does not hear yet that client {client_id} has left: {reason}; it is told of "
                "all that leave meanwhile once it is back",
                client_id=departure.client.id,
                reason=failure.getErrorMessage(),
            )

    def _look_later(self) -> None:
        if self._left and self._look_call is None:
            self._look_call = self._reactor.callLater(_AWAY_SECONDS, self._look)

    def _look(self) -> None:
        """Find out whether PHP is back."""
        self._look_call = None
        if self._turns.is_held:
            self._look_later()
        else:
            self._probe()

    def _probe(self) -> None:
        if not self._is_probing:
            self._is_probing = True
            doubtful, self._doubtful = self._doubtful, []
            probed = maybeDeferred(self._php.probe)
            probed.addCallbacks(self._found, self._not_found, (doubtful,), errbackArgs=(doubtful,))

    def _found(self, outcome: None, doubtful: list[tuple[_Departure, Failure]]) -> None:
        """PHP is there: of what is in doubt it may have heard, and all else can be told."""
        self._is_probing = self._is_away = False
        for departure, failure in doubtful:
            self._give_up(failure, departure)
        self._let_go()
        self._end_probe()

    def _not_found(self, failure: Failure, doubtful: list[tuple[_Departure, Failure]]) -> None:
        """PHP is not there, so it has heard of nothing."""
        if failure.check(ScriptNotFound):
            # That cannot be found out here.
            self._found(None, doubtful)
            return
        self._is_probing = False
        self._is_away = True
        for departure, _ in doubtful:
            departure.client.is_finished = False
            self._say_that_it_is_away(failure, departure)
            self._leave(departure)
        self._end_probe()

    def _end_probe(self) -> None:
        if self._doubtful:
            # They have come meanwhile.
            self._probe()
        else:
            self._look_later()

    def _let_go(self) -> None:
        """Tell of some of those left, and of the others in turns of the reactor to come.

        While the circuit breaker is open, one is enough to see whether PHP replies.
        """
        most = 1 if self._php.is_away else _MOST_IN_A_TURN
        for _ in range(min(most, len(self._left))):
            self._take_turn(self._left.popleft())
        if self._left and not self._php.is_away and self._look_call is None:
            self._look_call = self._reactor.callLater(0, self._go_on)

    def _go_on(self) -> None:
        self._look_call = None
        if self._is_away:
            self._look_later()
        else:
            self._let_go()
            self._look_later()

    # One event

    def _tell(self, departure: _Departure, problem: BackendError | None) -> Deferred[None] | None:
        if self._is_away:
            self._leave(departure)
            return None
        departure.client.is_finished = True
        asked = self._php.ask(departure.event(self._replies.wall_time()))
        asked.addCallback(self._heard)
        return asked.addCallbacks(self._told, self._failed, (departure,), errbackArgs=(departure,))

    def _heard(self, reply: Reply) -> Deferred[None] | None:
        if self._has_web_server:
            status = reply.head.status
            if is_before_php(reply):
                raise _NotAsked(f"a web server answered with status {status}")
            if is_without_php(reply):
                error = BackendTimeout if status == _GATEWAY_TIMEOUT else _Doubtful
                raise error(str(unusable(reply)))
        # The client cannot be answered any longer; others may be.
        return PendingReply(self._replies, None).complete(reply)

    def _failed(self, failure: Failure, departure: _Departure) -> None:
        if failure.check(BackendUnreachable, BackendBusy):
            # PHP never heard of it, and would take the client for connected for ever.
            departure.client.is_finished = False
            self._say_that_it_is_away(failure, departure)
            self._leave(departure)
        elif failure.check(_Doubtful):
            self._doubtful.append((departure, failure))
            self._probe()
        elif failure.check(BackendTimeout):
            self._give_up(failure, departure)
            # If PHP hangs as a whole, one after the other would be lost.
            self._is_away = True
            self._probe()
        elif failure.check(BackendBroken):
            self._give_up(failure, departure)
        else:
            self._log(failure, departure)
            self._told(None, departure)

    def _give_up(self, failure: Failure, departure: _Departure) -> None:
        """PHP may have heard of it or not; nobody can know."""
        self._metrics.disconnects_lost += 1
        self._log(failure, departure)
        self._told(None, departure)

    def _log(self, failure: Failure, departure: _Departure) -> None:
        self._replies.failed(f"the disconnect of client {departure.client.id}", failure, None)

    def _told(self, outcome: None, departure: _Departure) -> None:
        place = network_of(departure.client.handshake.peer_host)
        self._places[place] -= 1
        if not self._places[place]:
            del self._places[place]
        self._count(-1)
        if not self._untold:
            self._has_said = False
            waiters, self._waiters = self._waiters, []
            for waiter in waiters:
                waiter.callback(None)

    def _count(self, change: int) -> None:
        self._untold += change
        self._metrics.disconnects_waiting_now = self._untold
