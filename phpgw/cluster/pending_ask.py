"""A question that waits for its answers."""

from typing import Any

import attrs
from twisted.internet.defer import Deferred

SILENT = ""
"""The failure of a node that does not answer."""


@attrs.frozen
class Answers:
    """The answers of the nodes that were asked.

    :ivar values: what each node has answered, by its id.
    :ivar problem: why there may be more than these, for people; ``None`` if these are all.
    """

    values: dict[str, Any]
    problem: str | None = None


@attrs.define(eq=False)
class FenceState:
    """The state of the nodes that have not answered a question in time.

    :ivar asked: the nodes that are being asked what has become of it.
    :ivar busy: the nodes that still work on it.
    :ivar cleared: the nodes that have not received it, and never will.
    """

    asked: set[str] = attrs.field(factory=set)
    busy: set[str] = attrs.field(factory=set)
    cleared: set[str] = attrs.field(factory=set)


@attrs.define(eq=False)
class PendingAsk:
    """A question that waits for its answers.

    :ivar number: its number.
    :ivar asked_at: when it was asked, by the reactor's clock.
    :ivar node: the only node that is asked; ``None`` if it is all that are subscribed.
    :ivar is_fence: whether it asks what has become of another one.
    :ivar receivers: how many have received it; ``None`` as long as that is not known.
    :ivar values: the answers.
    :ivar has_own: whether this node has received it, too.
    :ivar failures: why other nodes have no answer; an empty text if they are silent.
    :ivar fence: what is known of the others, once they were asked what has become of it.
    :ivar done: fires with the answers.
    """

    number: int
    asked_at: float
    node: str | None = None
    is_fence: bool = False
    receivers: int | None = None
    values: dict[str, Any] = attrs.field(factory=dict)
    has_own: bool = False
    failures: dict[str, str] = attrs.field(factory=dict)
    fence: FenceState | None = None
    done: Deferred[Answers] = attrs.field(factory=Deferred)

    @property
    def is_complete(self) -> bool:
        """Return whether all that have received it have answered."""
        heard = len(self.values) + len(self.failures) + self.has_own
        return self.receivers is not None and heard >= self.receivers

    def has_heard_from(self, node: str) -> bool:
        """Return whether a node has answered, or is known not to answer."""
        return node in self.values or node in self.failures

    def answers(self, problem: str | None = None) -> Answers:
        """Return what was answered.

        :param problem: why there may be more, if that is not for the nodes.
        """
        if problem is None and self.failures:
            problem = self._problem()
        return Answers(self.values, problem)

    def _problem(self) -> str:
        silent = sorted(node for node, text in self.failures.items() if not text)
        problems = []
        if silent:
            s, do = ("", "does") if len(silent) == 1 else ("s", "do")
            problems.append(f"node{s} {', '.join(silent)} {do} not answer")
        problems += [f"node {node}: {text}" for node, text in sorted(self.failures.items()) if text]
        return "; ".join(problems)
