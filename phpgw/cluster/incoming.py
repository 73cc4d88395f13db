"""Handles the questions of other nodes, and answers them."""

from collections import deque
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from phpgw.cluster.channels import node_channel
from phpgw.cluster.frames import DONE, FAILED, UNSUPPORTED, Answer, Question, UnknownVersion
from phpgw.cluster.members import OUT_OF_TOUCH, Members
from phpgw.cluster.outgoing import Outgoing
from phpgw.log_limit import line_limit
from phpgw.time_slices import JobsStopped, TooManyJobs

# Carries out a question: gets the sender's node id and the arguments, and returns the value for the
# answer, or a Deferred with it.
Handler = Callable[[str, list[Any]], Any]


class InvalidQuestion(Exception):
    """The arguments of a question are not understood. The text says why."""


class Incoming:
    """Handles questions.

    Questions of one sender with the same order are handled one after another, all others as they
    come. None begins while this node is out of touch: others may have counted without its clients.

    :ivar handlers: the handlers, by operation.
    """

    log = Logger(observer=line_limit)

    def __init__(self, outgoing: Outgoing, members: Members) -> None:
        self.handlers: dict[str, Handler] = {}
        self._outgoing = outgoing
        self._members = members
        # The numbers of questions that wait or are being handled, with their senders.
        self._under_way: set[tuple[str, int]] = set()
        # The questions that wait for another one of the same sender and order.
        self._waiting: dict[tuple[str, str], deque[Question]] = {}

    def is_under_way(self, sender: str, number: int) -> bool:
        """Return whether a question of this sender waits, or is being handled."""
        return (sender, number) in self._under_way

    def handle(self, sender: str, question: Question) -> None:
        """Handle a question, now or after others."""
        key = sender, question.order
        queue = self._waiting.get(key) if question.order else None
        if queue is not None:
            self._under_way.add((sender, question.number))
            queue.append(question)
            return
        running = self._start(sender, question)
        if running is not None and question.order:
            self._waiting[key] = deque()
            Deferred.fromCoroutine(self._run_in_order(key, running))

    def refuse_frame(self, frame: UnknownVersion) -> None:
        """Answer that this node does not know the version of the questions in a frame."""
        self.log.warn(
            "Node {sender} speaks version {version} of the frames between nodes, which this one "
            "does not know",
            sender=frame.sender,
            version=frame.version,
        )
        for number in filter(None, frame.questions):
            answer = Answer(number, UNSUPPORTED, f"version {frame.version} of the frames")
            self._outgoing.send(node_channel(frame.sender), answer)

    def _start(self, sender: str, question: Question) -> Deferred[None] | None:
        """Handle a question.

        :returns: a Deferred that fires once it is answered; ``None`` if it is answered.
        """
        if not self._members.is_in_touch:
            self._answer(sender, question, FAILED, OUT_OF_TOUCH)
            return None
        handler = self.handlers.get(question.operation)
        if handler is None:
            self._answer(sender, question, UNSUPPORTED, question.operation)
            return None
        try:
            value = handler(sender, question.arguments)
        except Exception:
            self._fail(Failure(), sender, question)
            return None
        if not isinstance(value, Deferred):
            self._answer(sender, question, DONE, value)
            return None
        self._under_way.add((sender, question.number))
        value.addCallback(lambda done: self._answer(sender, question, DONE, done))
        value.addErrback(self._fail, sender, question)
        value.addCallback(lambda _: self._under_way.discard((sender, question.number)))
        return value

    async def _run_in_order(self, key: tuple[str, str], first: Deferred[None]) -> None:
        """Handle the questions of one order, as long as one of them waits for another one."""
        sender, _ = key
        queue = self._waiting[key]
        await first
        while queue:
            question = queue.popleft()
            self._under_way.discard((sender, question.number))
            running = self._start(sender, question)
            if running is not None:
                await running
        del self._waiting[key]

    def _answer(self, sender: str, question: Question, outcome: int, value: Any) -> None:
        if question.number:
            answer = Answer(question.number, outcome, value)
            self._outgoing.send(node_channel(sender), answer)

    def _fail(self, failure: Failure, sender: str, question: Question) -> None:
        if failure.check(TooManyJobs, JobsStopped):
            self._answer(sender, question, FAILED, "too much is under way")
            return
        if failure.check(InvalidQuestion):
            self.log.warn(
                "Node {sender} asks what is not understood, {operation}: {reason}",
                sender=sender,
                operation=question.operation,
                reason=failure.getErrorMessage(),
            )
            self._answer(sender, question, FAILED, failure.getErrorMessage())
            return
        self.log.failure(
            "A question of node {sender} cannot be answered: {operation}",
            failure,
            sender=sender,
            operation=question.operation,
        )
        self._answer(sender, question, FAILED, failure.getErrorMessage())
