"""From an event to PHP and back: in order for each client, side by side for all.

A client has at most one event with PHP. It waits for its turn among all that have something to say,
and anew after each event, so nobody starves and the line is never longer than there are clients.
Handshakes, streams and disconnects have lines of their own. A client's disconnect comes last of all
its events.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import attrs
from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from phpgw.backend.errors import BackendError
from phpgw.backend.event import Event, Identity
from phpgw.backend.interface import IBackend
from phpgw.backend.reply import Flow, Head, Reply
from phpgw.hub.client import Client, Message
from phpgw.metrics import Metrics
from phpgw.relay.breaker import Breaker
from phpgw.relay.disconnects import DisconnectQueue
from phpgw.relay.errors import ClientDisconnected
from phpgw.relay.overload import WaitingLimits
from phpgw.relay.overruns import Overruns
from phpgw.relay.policy import RelayPolicy
from phpgw.relay.queue import Turn, Turns
from phpgw.relay.replies import PendingReply, Replies, is_stream
from phpgw.relay.retry import RetryingBackend
from phpgw.relay.stream_limits import StreamLimits, WatchedFlow
from phpgw.web.addresses import network_of

T = TypeVar("T")

_POLICY_VIOLATION = 1008


@attrs.define(eq=False)
class _Work:
    """An event of a client that PHP works on.

    :ivar asked: fires once it is over; it may be cancelled.
    :ivar flow: what holds the reply up, of one that is streamed.
    :ivar problem: why it was ended, if it was for the sake of others.
    """

    turn: Turn
    answer: PendingReply
    asked: Deferred[Any] = attrs.field(init=False)
    flow: WatchedFlow | None = None
    problem: BackendError | None = None


class Relay:
    """Hands events to PHP, and PHP's answers to whoever knows what to do with them.

    :ivar concurrency: how many events PHP works on at once.
    """

    def __init__(
        self,
        reactor: IReactorTime,
        backend: IBackend,
        replies: Replies,
        policy: RelayPolicy,
        metrics: Metrics,
    ) -> None:
        self._now = reactor.seconds
        self._replies = replies
        self._policy = policy
        self._metrics = metrics
        self._nobody = Identity(client_id="", handshake=policy.nobody)
        self.concurrency = policy.concurrency
        self.backend = RetryingBackend(
            reactor, backend, Breaker(reactor, policy.breaker, metrics), metrics
        )
        self._turns = Turns(policy.concurrency, partial(reactor.callLater, 0))
        self._unended = Overruns(reactor, policy.longest_run)
        self._pauses = StreamLimits(
            reactor, self._turns, policy.stream_pause, policy.waiting_timeout
        )
        make_room, most, longest = (
            self._pauses.make_room,
            policy.max_waiting,
            policy.waiting_timeout,
        )
        self._limits = WaitingLimits(reactor, self._turns, most, longest, metrics, make_room)
        self._farewells = DisconnectQueue(
            reactor, self.backend, replies, self._turns, metrics, policy.has_web_server
        )
        # The turns that clients wait for.
        self._in_line: dict[Client, Turn] = {}
        # What PHP works on for a client just now.
        self._under_way: dict[Client, _Work] = {}
        # How those have left whose last event is not over yet.
        self._leaving: dict[Client, tuple[int, str]] = {}
        # Those with something under way that comes before their next event: commands, or a script
        # that was not answered in time.
        self._occupied: set[Client] = set()

    @property
    def disconnects_waiting(self) -> int:
        """How many clients have left that PHP does not know of."""
        return len(self._farewells)

    def receive(self, client: Client, message: Message) -> None:
        """Take a message from a client.

        Its connection is paused once as much as allowed is waiting. From a client that has left,
        nothing is taken any more.
        """
        if client.is_disconnected:
            return
        self._metrics.messages_received += 1
        message.received_at = self._now()
        client.inbox.append(message)
        if not client.is_busy:
            client.is_busy = True
            self._enter(self._message_turn(client, message.received_at), client)
        if self._is_full(client):
            client.connection.pause_reading()

    def connect(self, client: Client) -> Deferred[Reply]:
        """Ask PHP about a client that wants to connect, before any message of it.

        :returns: fires with PHP's word, or fails with a :exc:`phpgw.backend.errors.BackendError`.
        """
        decided: Deferred[Reply] = Deferred()
        client.is_busy = True
        begin = partial(self._ask_about, client, decided)
        self._enter(Turn(begin, self._turns.handshakes, self._now()), client)
        return decided

    def admit(self, client: Client) -> None:
        """A client has been let in, so that PHP is to hear of its end."""
        client.reports_disconnect = self._policy.reports_disconnects

    def discard_events(self, client: Client) -> None:
        """Drop what a client has still to say; its connection is closing."""
        if client.inbox:
            client.inbox.clear()
            self._give_place_free(client)
        if client in self._under_way:
            self.backend.withdraw(client.id)

    def delay_events(self, client: Client, until: Deferred[None]) -> None:
        """Begin no further event of a client before something else of it is over.

        :param until: fires once it is.
        """
        client.is_busy = True
        self._occupied.add(client)

        def free(outcome: None) -> None:
            self._occupied.remove(client)
            self._settle(None, client)

        until.addBoth(free)

    def disconnect(self, client: Client, code: int, reason: str) -> None:
        """A client has left; what it had still to say is dropped before it reaches PHP.

        :param code: how its connection ended: RFC 6455, sections 7.1.5 and 7.4.1.
        """
        client.is_disconnected = True
        client.inbox.clear()
        if not client.is_busy:
            self._bid_farewell(client, code, reason)
            return
        self._leaving[client] = code, reason
        if self._give_place_free(client):
            return
        work = self._under_way.get(client)
        if work is not None and work.answer.is_streamed:
            work.asked.cancel()
        else:
            self.backend.withdraw(client.id)

    def _give_place_free(self, client: Client) -> bool:
        """Have a client wait no longer, so that the line is not full of those who have left."""
        turn = self._in_line.get(client)
        if turn is None:
            return False
        self._turns.cancel(turn)
        turn.begin(None)
        return True

    def trigger(self, name: str) -> Deferred[None]:
        """Let PHP know that a timer has come to its time.

        :returns: fires once PHP has answered, or failed to.
        """
        over: Deferred[None] = Deferred()
        begin = partial(self._tell_time, name, over)
        self._enter(Turn(begin, self._turns.messages, self._now()), None)
        return over

    @property
    def running(self) -> int:
        """How many events PHP works on."""
        return self._turns.under_way

    def set_concurrency(self, count: int) -> None:
        """From now on, let PHP work on so many events at once, up to :attr:`concurrency`.

        Those that it works on go on. How long others have waited so far does not count.
        """
        self._limits.start_anew()
        self._turns.allow(count)

    def when_none_running(self) -> Deferred[None]:
        """Fires once PHP works on nothing, whatever waits."""
        return self._turns.when_none_running()

    def lift_disconnect_limit(self) -> None:
        """Tell of those who have left as fast as PHP can take it, also beside their last event."""
        self._unended.hurry()
        self._turns.hurry()

    def when_idle(self) -> Deferred[None]:
        """Fires once nothing waits for PHP and PHP works on nothing."""
        return Deferred.fromCoroutine(self._become_idle())

    async def _become_idle(self) -> None:
        await self._turns.when_idle()
        await self._farewells.when_all_are_told()
        await self._turns.when_idle()

    # Waiting

    def _enter(self, turn: Turn, client: Client | None) -> None:
        """Wait for a turn, if there is room for one more.

        :param client: whom it is about.
        """
        problem = None
        if self._note_waiting(turn, client):
            problem = self._limits.too_many(turn)
        if problem is None:
            self._wait(turn)
        else:
            turn.begin(problem)

    def _note_waiting(self, turn: Turn, client: Client | None) -> bool:
        """Note that somebody is going to wait.

        :returns: false if it is for a moment alone.
        """
        self._metrics.events_waiting_now += 1
        if client is not None:
            self._in_line[client] = turn
        if not (self._turns.is_full or self._turns.waiting):
            return False
        if client is not None:
            turn.place = network_of(client.handshake.peer_host)
        return True

    def _wait(self, turn: Turn) -> None:
        self._turns.take(turn)
        self._limits.watch()

    def _stop_waiting(self, client: Client) -> Turn:
        self._metrics.events_waiting_now -= 1
        return self._in_line.pop(client)

    # Messages

    def _is_full(self, client: Client) -> bool:
        inbox = client.inbox
        size = 0
        for message in inbox:
            size += len(message.payload)
        return len(inbox) >= self._policy.inbox_count or size >= self._policy.inbox_size

    def _message_turn(self, client: Client, since: float) -> Turn:
        line = self._turns.streams if client.expects_stream else self._turns.messages
        return Turn(partial(self._hand_over, client), line, since)

    def _hand_over(self, client: Client, problem: BackendError | None) -> Deferred[Any] | None:
        turn = self._stop_waiting(client)
        if not client.inbox:
            # It has left, or is about to.
            self._settle(None, client)
            return None
        was_full = self._is_full(client)
        message = client.inbox.pop(0)
        work = _Work(turn, PendingReply(self._replies, client, message.is_binary, message.payload))
        if problem is None:
            identity = client.identity_at(self._replies.wall_time())
            event = Event("server", message.payload, identity, message.is_binary)
            follow = partial(self._follow, client, work)
            work.asked = self.backend.ask(event, follow, client.is_connected)
        else:
            work.asked = fail(problem)
        self._under_way[client] = work
        asked = work.asked
        asked.addCallback(work.answer.complete)
        asked.addErrback(self._failed, client, work)
        asked.addBoth(self._settle, client, had_turn=problem is None)
        if was_full and not self._is_full(client):
            client.connection.resume_reading()
        return asked

    def _follow(
        self, client: Client, work: _Work, head: Head, flow: Flow
    ) -> Callable[[bytes], None] | None:
        """See :data:`phpgw.backend.reply.Follow`."""
        if is_stream(head) and not client.is_disconnected:
            self._turns.becomes_stream(work.turn)
            end, make_way = partial(self._end, client, work), partial(self._make_way, work)
            work.flow = flow = WatchedFlow(self._pauses, flow, end, make_way)
            self._pauses.watch(work.flow)
        return work.answer.follow(head, flow)

    def _end(self, client: Client, work: _Work) -> None:
        """End a stream whose client does not read it fast enough, and with it the client."""
        self._metrics.slow_streams_closed += 1
        client.connection.close(
            _POLICY_VIOLATION, "the streamed reply is not read fast enough (--stream-pause-timeout)"
        )
        work.asked.cancel()

    def _make_way(self, work: _Work, problem: BackendError) -> None:
        """End a stream alone, for the sake of others."""
        work.problem = problem
        work.asked.cancel()

    def _failed(self, failure: Failure, client: Client, work: _Work) -> Deferred[None] | None:
        what = f"a message of client {client.id}"
        if work.problem is not None:
            failure = Failure(work.problem)
        if failure.check(CancelledError, ClientDisconnected):
            self._metrics.replies_without_client += 1
            self._replies.left(what, failure)
        else:
            self._replies.failed(what, failure, client)
            if (ended := self._unended.until_ended(failure)) is not None:
                self.delay_events(client, ended)
        return work.answer.break_off()

    def _settle(self, outcome: T, client: Client, had_turn: bool = True) -> T:
        """A client's turn is over: on to what is next.

        :param had_turn: whether PHP was asked. Otherwise what is next has waited, too, from when
            it came.
        """
        work = self._under_way.pop(client, None)
        if work is not None:
            client.expects_stream = work.flow is not None
            if work.flow is not None:
                self._pauses.over(work.flow)
        if client in self._occupied:
            return outcome
        if client.inbox:
            # Whoever has had a turn keeps its place among those who may wait.
            since = self._now() if had_turn else client.inbox[0].received_at
            turn = self._message_turn(client, since)
            self._note_waiting(turn, client)
            self._wait(turn)
        else:
            client.is_busy = False
            if client.is_disconnected:
                self._bid_farewell(client, *self._leaving.pop(client))
        return outcome

    def _bid_farewell(self, client: Client, code: int, reason: str) -> None:
        if client.reports_disconnect:
            self._farewells.bid(client, code, reason)
        else:
            client.is_finished = True

    # Handshakes and timers

    def _ask_about(
        self, client: Client, decided: Deferred[Reply], problem: BackendError | None
    ) -> Deferred[Any] | None:
        self._stop_waiting(client)
        if client.is_disconnected:
            decided.errback(ClientDisconnected("the client has left"))
            self._settle(None, client)
            return None
        event = Event("connect", b"", client.identity)
        asked = fail(problem) if problem else self.backend.ask(event, is_wanted=client.is_connected)
        asked.addCallbacks(decided.callback, decided.errback)
        return asked.addBoth(self._settle, client)

    def _tell_time(
        self, name: str, over: Deferred[None], problem: BackendError | None
    ) -> Deferred[Any]:
        self._metrics.events_waiting_now -= 1
        answer = PendingReply(self._replies, None)
        event = Event("timer", name.encode(), self._nobody)
        asked = fail(problem) if problem else self.backend.ask(event, answer.follow)
        ended: Deferred[None] | None = None

        def failed(failure: Failure) -> Deferred[None] | None:
            nonlocal ended
            self._replies.failed(f"timer {name}", failure, None)
            ended = self._unended.until_ended(failure)
            return answer.break_off()

        def end(outcome: object) -> None:
            # Two runs of a timer do not overlap, but others need not wait for this one.
            (ended or succeed(None)).addBoth(over.callback)

        asked.addCallback(answer.complete)
        asked.addErrback(failed)
        return asked.addBoth(end)
