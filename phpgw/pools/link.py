"""The link of the pools' process to the gateway."""

from typing import Any

from twisted.internet.task import LoopingCall

from phpgw.pools.pool_set import PoolSet
from phpgw.process.messages import Message
from phpgw.process.parent_pipe import ParentPipe

_FIGURES_SECONDS = 1.0
# Seconds, so that the reactor writes what it was given.
_WRITE_SECONDS = 0.01


class PoolsLink(ParentPipe):
    """Carries out what the gateway says, and tells it the figures of the pools."""

    _pools: PoolSet

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._telling = LoopingCall(self._tell_figures)
        self._telling.clock = reactor

    def begin(self, pools: PoolSet) -> None:
        """Tell the gateway that the pools are ready, and their figures each second."""
        self._pools = pools
        self.tell("ready")
        self._telling.start(_FIGURES_SECONDS)

    def obey(self, message: Message) -> None:
        """See :class:`.ParentPipe`."""
        match message.get("type"):
            case "reload":
                self._pools.reload()
            case "stop" if not self.is_stopping:
                self.is_stopping = True
                self._pools.stop_within(message["seconds"]).addBoth(self._end)

    def _end(self, outcome: object) -> None:
        self._telling.stop()
        self._tell_figures()
        self._reactor.callLater(_WRITE_SECONDS, self._reactor.stop)

    def _tell_figures(self) -> None:
        self.tell("figures", pools=self._pools.figures())
