"""A reactor of which a test decides when its next turn is, and a clock that goes by looks."""

from collections.abc import Callable
from typing import Any

from twisted.internet.task import Clock


class ManualReactor(Clock):
    """A clock that stands still, and makes calls in turns as a reactor does.

    Where :class:`Clock` also makes the calls that come of a call at once, here they wait for the
    next turn.
    """

    def __init__(self) -> None:
        super().__init__()
        self._calls: list[Callable[[], object]] = []

    @property
    def is_busy(self) -> bool:
        """Return whether there is something to do in the next turn."""
        return bool(self._calls)

    def callLater(  # type: ignore[override]  # noqa: N802
        self, when: float, what: Callable[..., object], *args: Any, **named: Any
    ) -> Any:
        """Make a call in the next turn if it has no time, and as a clock does otherwise."""
        if when:
            return super().callLater(when, what, *args, **named)
        self._calls.append(lambda: what(*args, **named))
        return object()

    def turn(self) -> None:
        """Make the calls of one turn."""
        calls, self._calls = self._calls, []
        for call in calls:
            call()

    def run(self, limit: int = 10_000) -> int:
        """Make turns until nothing is left to do; returns how many those were."""
        for count in range(limit):
            if not self._calls:
                return count
            self.turn()
        raise AssertionError("it does not end")


class TickingClock:
    """A clock on which each look takes a while.

    :ivar looks: how often somebody looked.
    """

    def __init__(self) -> None:
        self.looks = 0

    def __call__(self) -> float:
        self.looks += 1
        return float(self.looks)
