"""Turns: which process has a run of a timer, if there are several."""

from enum import Enum
from typing import Protocol

from twisted.internet.defer import Deferred, succeed

from phpgw.timers.rules import Timer


class Turn(Enum):
    """An answer to the question of whether this process has a run.

    :cvar OURS: it has.
    :cvar OTHERS: another process has, or had.
    :cvar UNDER_WAY: nobody has, since the run before has not ended in another process.
    :cvar UNKNOWN: it cannot be found out.
    """

    OURS = "ours"
    OTHERS = "others"
    UNDER_WAY = "under way"
    UNKNOWN = "unknown"


class Turns(Protocol):
    """Decides which process has a run."""

    def timer(self, timer: Timer) -> Timer:
        """Return a timer as this one, with times on which all processes agree."""

    def take(self, name: str, due: float) -> Deferred[Turn]:
        """Take the run of a timer that is due at a time, in seconds since the epoch."""

    def end(self, name: str) -> None:
        """Note that the run has ended that was this process's."""

    def missed(self, count: int) -> int:
        """Return how many of the runs that this process has missed were skipped for it."""


class EveryTurn:
    """The turns of a process that is alone: all runs are its own."""

    def timer(self, timer: Timer) -> Timer:
        """Return the timer as it is."""
        return timer

    def take(self, name: str, due: float) -> Deferred[Turn]:
        """Take the run."""
        return succeed(Turn.OURS)

    def end(self, name: str) -> None:
        """Do nothing."""

    def missed(self, count: int) -> int:
        """Return all of them."""
        return count
