"""Asks other nodes, and collects their answers: all of them, or it is told which are missing.

How many have received a frame says how many answers will come. If some are late, a fence decides
(:mod:`phpgw.cluster.fence`).
"""

from functools import partial
from itertools import count
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from phpgw.bus.interface import Bus
from phpgw.cluster.channels import ALL, node_channel
from phpgw.cluster.fence import Fence
from phpgw.cluster.frames import (
    DONE,
    FAILED,
    UNSUPPORTED,
    Answer,
    InvalidFrame,
    Question,
    UnknownVersion,
    decode_frame,
)
from phpgw.cluster.incoming import Handler, Incoming
from phpgw.cluster.members import Members
from phpgw.cluster.outgoing import Outgoing, Publish
from phpgw.cluster.pending_ask import SILENT, Answers, PendingAsk
from phpgw.cluster.published_commands import is_published_by_php
from phpgw.log_limit import line_limit

# Seconds that frames may be under way, and by which clocks may run apart meanwhile.
_MARGIN = 1.0
_FENCE = "fence"
_LEAVE = "leave"


class NodeGone(Exception):
    """The node that is asked is no member: its clients are disconnected."""


class NotAnswered(Exception):
    """The node that is asked has not answered. The text says why."""


class Exchange(Service):
    """Asks other nodes, and answers them.

    :param members: which nodes there are.
    :ivar handlers: what this node can be asked, by operation.
    :ivar asked: how many questions have been asked since the start.
    :ivar unanswered: how many of them some nodes have not answered.
    """

    log = Logger(observer=line_limit)

    def __init__(self, reactor: Any, bus: Bus, members: Members) -> None:
        self._now = reactor.seconds
        self._bus = bus
        self._members = members
        # Since when no frame for this node was lost.
        self._connected_at = float("-inf")
        # The ids under which this node has published.
        self._own_ids = {members.node_id}
        self._outgoing = Outgoing(reactor, bus, members)
        self._incoming = Incoming(self._outgoing, members)
        self.handlers: dict[str, Handler] = self._incoming.handlers
        self.handlers[_FENCE] = self._report_progress
        self.handlers[_LEAVE] = self._note_leave
        # The nodes that have said that they leave, until the membership says so, too.
        self._leaving: set[str] = set()
        self.asked = self.unanswered = 0
        self._numbers = count(1)
        self._asks: dict[int, PendingAsk] = {}
        self._fence = Fence(reactor, self._others, self._ask_progress, self._end)
        bus.observers.append(self)
        members.observers.append(self)

    def startService(self) -> None:
        super().startService()
        self._subscribe(ALL)
        self._subscribe(node_channel(self._members.node_id))

    def stopService(self) -> None:
        super().stopService()
        self._outgoing.send(ALL, Question(0, _LEAVE, []))
        self._bus.unsubscribe(ALL)
        self._bus.unsubscribe(node_channel(self._members.node_id))
        self._outgoing.close()
        self._end_all("the gateway stops")
        self._fence.close()

    @property
    def node_id(self) -> str:
        """Return the id of this node."""
        return self._members.node_id

    @property
    def waiting(self) -> int:
        """Return how many questions wait for answers."""
        return len(self._asks)

    @property
    def problem(self) -> str:
        """Return why no node can be reached; empty if nothing is wrong."""
        return self._bus.problem

    def ask(
        self, node: str, operation: str, arguments: list[Any], order: str = ""
    ) -> Deferred[Any]:
        """Ask one node.

        :returns: fires with what its handler has returned. Fails with :exc:`NodeGone`, or with
            :exc:`NotAnswered`; then it may have been done all the same.
        """
        pending = self._start(node_channel(node), operation, arguments, order, node)
        return pending.done.addCallback(partial(self._only, node))

    def ask_all(
        self,
        channel: bytes,
        operation: str,
        arguments: list[Any],
        order: str = "",
        publish: Publish | None = None,
    ) -> Deferred[Answers]:
        """Ask all other nodes that are subscribed to a channel; it never fails.

        :param publish: publishes the frame in place of the bus.
        """
        return self._start(channel, operation, arguments, order, publish=publish).done

    def tell(
        self,
        channel: bytes,
        operation: str,
        arguments: list[Any],
        order: str = "",
        publish: Publish | None = None,
    ) -> Deferred[int]:
        """Ask without waiting for answers.

        :param publish: publishes the frame in place of the bus.
        :returns: fires with how many have received it, this node among them if it is subscribed.
            Fails with :exc:`phpgw.bus.interface.BusUnavailable`.
        """
        told: Deferred[int] = Deferred()
        question = Question(0, operation, arguments, order)
        self._outgoing.send(channel, question, told.callback, publish)
        return told

    def cut_off(self) -> Deferred[list[str]]:
        """Return the members that are not on the bus, and may have clients all the same.

        :returns: fails with :exc:`phpgw.bus.interface.BusUnavailable`.
        """
        others = sorted(self._others())
        counts = self._bus.subscribers([node_channel(node) for node in others])
        return counts.addCallback(
            lambda found: [node for node, n in zip(others, found, strict=True) if not n]
        )

    # phpgw.bus.interface.BusObserver

    def connected(self) -> None:
        """Note that frames and answers may have been lost until now."""
        self._connected_at = self._now()

    def lost(self, reason: str) -> None:
        """End all questions, since their answers may be lost."""
        self._end_all(reason)

    def received(self, channel: bytes, frame: bytes) -> None:
        """Take the questions and answers in a frame."""
        try:
            decoded = decode_frame(frame, self._members.spoken)
        except UnknownVersion as unknown:
            self._take_unknown(unknown)
            return
        except InvalidFrame as error:
            if is_published_by_php(frame):
                return
            self.log.warn("Something on the bus is no frame: {reason}", reason=str(error))
            return
        sender = decoded.sender
        is_own = sender in self._own_ids
        for item in decoded.items:
            if isinstance(item, Answer):
                self._take(sender, item)
            elif is_own:
                self._note_own(item.number)
            else:
                self._incoming.handle(sender, item)

    def _take_unknown(self, frame: UnknownVersion) -> None:
        """Let nobody wait for what a frame of a version has that this node does not know."""
        self._incoming.refuse_frame(frame)
        for number in frame.answers:
            self._take(frame.sender, Answer(number, FAILED, f"it speaks version {frame.version}"))
        if not frame.is_whole:
            self._connected_at = self._now()

    # phpgw.cluster.members.MemberObserver

    def left(self, node_id: str) -> None:
        """Wait no longer for a node that is gone."""
        self._leaving.discard(node_id)
        self._end_asks_of(node_id)

    def _note_leave(self, sender: str, arguments: list[Any]) -> None:
        """Note that a node stops: it has no clients any more."""
        if sender in self._members.live:
            self._leaving.add(sender)
        self._end_asks_of(sender)

    def _end_asks_of(self, node_id: str) -> None:
        for ask in [*self._asks.values()]:
            if ask.node == node_id:
                self._end(ask)

    def renamed(self, before: str) -> None:
        """Take questions under the new id; what was asked under the old one may come yet."""
        self._own_ids.add(self._members.node_id)
        self._bus.unsubscribe(node_channel(before))
        self._subscribe(node_channel(self._members.node_id))

    def _subscribe(self, channel: bytes) -> None:
        # If it fails, it is in force with the next connection.
        self._bus.subscribe(channel).addErrback(lambda _: None)

    def _others(self) -> frozenset[str]:
        return self._members.live - self._leaving - {self._members.node_id}

    def _start(
        self,
        channel: bytes,
        operation: str,
        arguments: list[Any],
        order: str = "",
        node: str | None = None,
        is_fence: bool = False,
        publish: Publish | None = None,
    ) -> PendingAsk:
        pending = PendingAsk(next(self._numbers), self._now(), node, is_fence)
        self.asked += not is_fence
        self._asks[pending.number] = pending
        question = Question(pending.number, operation, arguments, order)
        self._outgoing.send(channel, question, partial(self._count, pending), publish)
        return pending

    def _count(self, ask: PendingAsk, outcome: int | Failure) -> None:
        """Note how many have received a question."""
        if ask.number not in self._asks:
            return
        if isinstance(outcome, Failure):
            self._end(ask, outcome.getErrorMessage())
            return
        ask.receivers = outcome
        if not outcome and ask.node in self._others():
            # It has a lease, and is not on the bus: it is cut off, or has just ended.
            ask.failures[ask.node] = SILENT
        if ask.is_complete:
            self._end(ask)
        else:
            self._fence.watch(ask)

    def _note_own(self, number: int) -> None:
        """Note that this node has received its own question."""
        ask = self._asks.get(number)
        if ask is not None and ask.node is None:
            ask.has_own = True
            if ask.is_complete:
                self._end(ask)

    def _take(self, sender: str, answer: Answer) -> None:
        ask = self._asks.get(answer.number)
        if ask is None or (ask.node != sender and ask.node is not None):
            return
        if answer.outcome == DONE:
            ask.values[sender] = answer.value
        elif answer.outcome == UNSUPPORTED:
            ask.failures[sender] = f"it does not know {answer.value}"
        else:
            ask.failures[sender] = str(answer.value) or "it failed"
        if ask.node is not None or ask.is_complete:
            self._end(ask)
        else:
            self._fence.heard(ask, sender)

    def _ask_progress(self, node: str, ask: PendingAsk) -> Deferred[Answers]:
        """Ask a node what has become of a question."""
        arguments = [ask.number, self._now() - ask.asked_at]
        return self._start(node_channel(node), _FENCE, arguments, node=node, is_fence=True).done

    def _report_progress(self, sender: str, arguments: list[Any]) -> bool | None:
        """Tell whether this node works on a question, which was asked some seconds ago.

        :returns: ``None`` if the question, or the answer, may have been lost.
        """
        number, age = arguments
        if self._incoming.is_under_way(sender, number):
            return True
        is_sure = self._now() - self._connected_at > age + _MARGIN
        return False if is_sure else None

    def _only(self, node: str, answers: Answers) -> Any:
        """Return the answer of the only node that was asked."""
        if node in answers.values:
            return answers.values[node]
        if answers.problem is not None:
            raise NotAnswered(answers.problem)
        raise NodeGone(node)

    def _end(self, ask: PendingAsk, problem: str | None = None) -> None:
        if self._asks.pop(ask.number, None) is None:
            return
        if ask.receivers is not None:
            self._fence.forget(ask)
        answers = ask.answers(problem)
        if answers.problem is not None and not ask.is_fence:
            self.unanswered += 1
        ask.done.callback(answers)

    def _end_all(self, problem: str) -> None:
        for ask in [*self._asks.values()]:
            self._end(ask, problem)
