"""A question that waits for its answers."""

from typing import Any

import attrs
from twisted.internet.defer import Deferred


@attrs.frozen
class Answers:
    """What the nodes have answered that were asked.

    :ivar values: what each node has answered, by its id.
    :ivar problem: why there may be more than these, for people; ``None`` if these are all.
    """

    values: dict[str, Any]
    problem: str | None = None


@attrs.define(eq=False)
class PendingAsk:
    """A question that waits for its answers.

    :ivar number: its number.
    :ivar node: the only node that is asked; ``None`` if it is all that are subscribed.
    :ivar is_fence: whether it asks what has become of another one.
    :ivar receivers: how many have received it; ``None`` as long as that is not known.
    :ivar heard: the nodes that have answered, or have received it and are this one.
    :ivar values: the answers.
    :ivar failures: what the nodes have answered that could not do it.
    :ivar is_fenced: whether the nodes were asked what has become of it.
    :ivar asked_about: the nodes that are being asked what has become of it.
    :ivar busy: the nodes that still work on it.
    :ivar cleared: the nodes that have not received it, and never will.
    :ivar silent: the nodes that do not answer.
    :ivar done: fires with the answers.
    """

    number: int
    node: str | None = None
    is_fence: bool = False
    receivers: int | None = None
    heard: set[str] = attrs.field(factory=set)
    values: dict[str, Any] = attrs.field(factory=dict)
    failures: dict[str, str] = attrs.field(factory=dict)
    is_fenced: bool = False
    asked_about: set[str] = attrs.field(factory=set)
    busy: set[str] = attrs.field(factory=set)
    cleared: set[str] = attrs.field(factory=set)
    silent: set[str] = attrs.field(factory=set)
    done: Deferred[Answers] = attrs.field(factory=Deferred)

    @property
    def is_complete(self) -> bool:
        """Return whether all that have received it have answered."""
        return self.receivers is not None and len(self.heard) >= self.receivers

    def answers(self, problem: str | None = None) -> Answers:
        """Return what was answered.

        :param problem: why there may be more, if that is not for the nodes.
        """
        return Answers(self.values, problem or self._problem())

    def _problem(self) -> str | None:
        problems = []
        if self.silent:
            nodes = ", ".join(sorted(self.silent))
            s, do = ("", "does") if len(self.silent) == 1 else ("s", "do")
            problems.append(f"node{s} {nodes} {do} not answer")
        problems += [f"node {node}: {text}" for node, text in sorted(self.failures.items())]
        return "; ".join(problems) or None
