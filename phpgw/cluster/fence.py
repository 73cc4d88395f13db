"""The fence: finds out what has become of questions whose answers are late.

Each node is asked what has become of such a question. What one node publishes comes to another one
in order, so its answer proves that the question has come, or never will; unless it has lost the bus
since the question was asked.
"""

from collections.abc import Callable, Set
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred

from phpgw.cluster.pending_ask import SILENT, Answers, FenceState, PendingAsk
from phpgw.deadlines import Deadlines

# Seconds for the answers, before the fence.
_FENCE_AFTER = 0.1
# Seconds for the answers to the fence; a node that does not answer in time is silent.
_SILENT_AFTER = 0.9
# Seconds until a node that works on the question is asked again.
_ASK_AGAIN_AFTER = 1.0


class Fence:
    """Decides on questions whose answers are late.

    :param others: returns the other nodes.
    :param ask_progress: asks a node what has become of a question: ``True`` if it works on it,
        ``False`` if it has no such question, ``None`` if it may have lost the question.
    :param end: ends a question with the answers that there are.
    """

    def __init__(
        self,
        reactor: Any,
        others: Callable[[], Set[str]],
        ask_progress: Callable[[str, PendingAsk], Deferred[Answers]],
        end: Callable[[PendingAsk], None],
    ) -> None:
        self._others = others
        self._ask_progress = ask_progress
        self._end = end
        self._late = Deadlines[PendingAsk](reactor, _FENCE_AFTER, self._ask_nodes)
        self._silent = Deadlines[PendingAsk](reactor, _SILENT_AFTER, self._end_silent)
        self._again = Deadlines[PendingAsk](reactor, _ASK_AGAIN_AFTER, self._ask_nodes)

    def watch(self, ask: PendingAsk) -> None:
        """Watch a question that some have received, and not all of these have answered."""
        deadlines = self._silent if ask.is_fence else self._late
        deadlines.start(ask)

    def forget(self, ask: PendingAsk) -> None:
        """Watch a question no longer, since it has ended."""
        for deadlines in (self._late, self._silent, self._again):
            deadlines.stop(ask)

    def heard(self, ask: PendingAsk, node: str) -> None:
        """Note that a node has answered a question."""
        if ask.fence is not None:
            ask.fence.busy.discard(node)
            self._end_if_settled(ask, ask.fence)

    def close(self) -> None:
        """Watch nothing any more."""
        for deadlines in (self._late, self._silent, self._again):
            deadlines.close()

    def _ask_nodes(self, ask: PendingAsk) -> None:
        """Ask the nodes what has become of a question that some have not answered."""
        fence = ask.fence = ask.fence or FenceState()
        others = self._others() if ask.node is None else {ask.node}
        nodes = {each for each in others if not ask.has_heard_from(each)}
        nodes -= fence.cleared | fence.asked
        fence.busy.clear()
        fence.asked |= nodes
        for node in nodes:
            asking = self._ask_progress(node, ask)
            asking.addCallback(partial(self._note_progress, ask, fence, node))
        self._end_if_settled(ask, fence)

    def _end_silent(self, pending: PendingAsk) -> None:
        """End a question about another one that has had no answer."""
        assert pending.node is not None
        pending.failures[pending.node] = SILENT
        self._end(pending)

    def _note_progress(
        self, ask: PendingAsk, fence: FenceState, node: str, answers: Answers
    ) -> None:
        """Note what a node says has become of a question."""
        fence.asked.discard(node)
        if node not in answers.values:
            if answers.problem is None:
                fence.cleared.add(node)
            else:
                ask.failures.setdefault(node, SILENT)
        elif answers.values[node] is True:
            fence.busy.add(node)
        elif answers.values[node] is None:
            ask.failures[node] = "it has lost frames meanwhile"
        elif ask.node is not None:
            ask.failures[node] = "the question did not get there"
        else:
            fence.cleared.add(node)
        self._end_if_settled(ask, fence)

    def _end_if_settled(self, ask: PendingAsk, fence: FenceState) -> None:
        """End a question if no more answers can come; ask again if a node works on it."""
        if fence.asked or ask.done.called:
            return
        if fence.busy:
            self._again.start(ask)
        else:
            self._end(ask)
