"""An epoll reactor of which a test decides when its next turn is."""

import select
from collections.abc import Callable
from typing import Any

from twisted.internet.task import Clock


class FakeEpollReactor(Clock):
    """The parts of Twisted's epoll reactor that a poller uses.

    :ivar served: how often it has served descriptors of its own.
    """

    def __init__(self) -> None:
        super().__init__()
        self._poller = select.epoll()
        self._triggers: list[Callable[[], object]] = []
        self.served = 0

    def watch(self, file: Any) -> None:
        """Watch a descriptor of its own."""
        self._poller.register(file, select.EPOLLIN)

    def doPoll(self, seconds: float | None) -> None:  # noqa: N802
        """Serve its own descriptors."""
        self.served += len(self._poller.poll(seconds))

    doIteration = doPoll  # noqa: N815

    def addSystemEventTrigger(  # noqa: N802
        self, phase: str, event: str, call: Callable[[], object]
    ) -> None:
        """Make a call when it stops."""
        assert (phase, event) == ("during", "shutdown")
        self._triggers.append(call)

    @property
    def poller(self) -> Any:
        """Return the poller that it waits through."""
        iteration: Any = self.doIteration
        return iteration.__self__

    def turn(self) -> None:
        """Serve what is ready."""
        self.doIteration(0)

    def stop(self) -> None:
        """Stop, so that all connections end."""
        for trigger in self._triggers:
            trigger()
        self._triggers.clear()
        self._poller.close()
