"""Telling PHP who has left: of each client that it has let in once, and last of all."""

from collections import deque
from functools import partial

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from phpgw.backend import BackendBusy, BackendError, BackendUnreachable, Event, Reply
from phpgw.client import Client
from phpgw.metrics import Metrics
from phpgw.php.answers import Answer, Answers
from phpgw.php.asking import Php
from phpgw.php.turns import Turn, Turns
from phpgw.seldom import line_limit

# Seconds until PHP is told anew, if it was away.
_AWAY_SECONDS = 2
# How many may have left without PHP knowing; each takes about 2 KB.
_MOST = 50_000
# How many line up at once when PHP is back.
_MOST_IN_A_TURN = 500
# What a web server says while it reaches no PHP; the script may have begun, though, and broken off.
_NO_PHP = (502, 503)
# How often PHP is told anew where a web server has said so, before it counts as told.
_REPEATS = 15
# Seconds for which nothing more is said about those that PHP will never know of.
_SILENCE = 60


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


class _WebServerAlone(BackendUnreachable):
    """There is a web server, and no PHP behind it."""


class Farewells:
    """Keeps who has left until PHP knows."""

    log = Logger(observer=line_limit)

    def __init__(
        self,
        reactor: IReactorTime,
        php: Php,
        answers: Answers,
        turns: Turns,
        metrics: Metrics,
    ) -> None:
        self._reactor = reactor
        self._php = php
        self._answers = answers
        self._turns = turns
        self._metrics = metrics
        self._untold = 0
        self._lost = 0
        self._silent_until = 0.0
        # What is left for when PHP answers again, and what looks whether it does.
        self._left: deque[tuple[_Departure, int]] = deque()
        self._look_call: IDelayedCall | None = None
        self._waiters: list[Deferred[None]] = []

    def __len__(self) -> int:
        """Of how many PHP does not know yet."""
        return self._untold

    def bid(self, client: Client, code: int, reason: str) -> None:
        """Tell PHP that this client has left.

        :param code: how its connection ended: RFC 6455, sections 7.1.5 and 7.4.1.
        """
        if self._untold >= _MOST:
            client.is_told = True
            self._lose(client)
            return
        self._count(1)
        self._try(_Departure(client, code, reason), _REPEATS)

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
                "PHP will never know that {lost} clients have left, the last of them {client_id}: "
                "it is yet to be told of {count} others",
                lost=self._lost,
                client_id=client.id,
                count=self._untold,
            )
            self._lost = 0
            self._silent_until = now + _SILENCE

    def _try(self, departure: _Departure, repeats: int) -> None:
        if self._php.is_away:
            self._left.append((departure, repeats))
            self._look_later()
        else:
            self._take_turn(departure, repeats)

    def _take_turn(self, departure: _Departure, repeats: int) -> None:
        begin = partial(self._tell, departure, repeats)
        self._turns.take(Turn(begin, self._turns.disconnects))

    def _look_later(self) -> None:
        if self._left and self._look_call is None:
            self._look_call = self._reactor.callLater(_AWAY_SECONDS, self._look)

    def _look(self) -> None:
        """Try one of those left while PHP is away, and all once it is back."""
        self._look_call = None
        most = 1 if self._php.is_away else _MOST_IN_A_TURN
        for _ in range(min(most, len(self._left))):
            self._take_turn(*self._left.popleft())
        if self._left and not self._php.is_away:
            self._look_call = self._reactor.callLater(0, self._look)
        self._look_later()

    def _tell(
        self, departure: _Departure, repeats: int, problem: BackendError | None
    ) -> Deferred[None]:
        departure.client.is_told = True
        asked = self._php.ask(departure.event(self._answers.wall_time()))
        asked.addCallback(self._heard)
        return asked.addCallbacks(self._told, self._failed, errbackArgs=(departure, repeats))

    def _heard(self, reply: Reply) -> Deferred[None] | None:
        if reply.head.status in _NO_PHP:
            raise _WebServerAlone(f"a web server answered with status {reply.head.status}")
        # The client cannot be answered any longer; others may be.
        return Answer(self._answers, None).complete(reply)

    def _failed(self, failure: Failure, departure: _Departure, repeats: int) -> None:
        repeats -= bool(failure.check(_WebServerAlone))
        if failure.check(BackendUnreachable, BackendBusy) and repeats:
            # PHP never heard of it, and would take the client for connected for ever.
            departure.client.is_told = False
            self._reactor.callLater(_AWAY_SECONDS, self._try, departure, repeats)
            return
        self._answers.failed(f"the disconnect of client {departure.client.id}", failure, None)
        self._told(None)

    def _told(self, outcome: None) -> None:
        self._count(-1)
        if not self._untold:
            waiters, self._waiters = self._waiters, []
            for waiter in waiters:
                waiter.callback(None)

    def _count(self, change: int) -> None:
        self._untold += change
        self._metrics.disconnects_waiting_now = self._untold
