"""The running gateway: what starts, and in which order it stops."""

from collections.abc import Sequence

from twisted.application.service import MultiService, Service
from twisted.internet.defer import Deferred, DeferredList, maybeDeferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from phpgw.relay import Relay
from phpgw.road import Road
from phpgw.websocket import GatewayFactory

# How long clients may take to answer the last close frame.
_FAREWELL_SECONDS = 1
_GOING_AWAY = 1001


class Gateway(MultiService):
    """Starts by listening; stops by draining.

    :param public: listeners for browsers; they close first.
    :param private: listeners for pushes alone, if there are any; they close last, since PHP may
        push while it finishes.
    :param road: the way to PHP, which is left last.
    :param schedule: the timers, which are the first to stop.
    :param drain_timeout: seconds for the messages that PHP has still to answer.
    :param summary: what is where, in a line for the log.
    """

    log = Logger()

    def __init__(
        self,
        *,
        reactor: IReactorTime,
        public: Sequence[Service],
        private: Sequence[Service],
        factory: GatewayFactory,
        relay: Relay,
        road: Road,
        schedule: Service,
        drain_timeout: float,
        summary: str,
    ) -> None:
        super().__init__()
        self._reactor = reactor
        self._public = public
        self._private = private
        self._factory = factory
        self._relay = relay
        self._road = road
        self._schedule = schedule
        self._drain_timeout = drain_timeout
        self._summary = summary
        if road.service is not None:
            road.service.setServiceParent(self)
        for service in (*public, *private, schedule):
            service.setServiceParent(self)

    def startService(self) -> None:
        super().startService()
        self.log.info("{summary}", summary=self._summary)

    def stopService(self) -> Deferred[None]:
        """Take no new clients, let PHP finish, send the clients away, let go of PHP."""
        self.running = 0
        return Deferred.fromCoroutine(self._drain())

    async def _drain(self) -> None:
        self.log.info("Stopping; {count} clients are connected", count=len(self._factory.registry))
        deadline = self._reactor.seconds() + self._drain_timeout
        self._factory.draining = True
        self._schedule.stopService()
        self._relay.hurry()
        await DeferredList([listener.stopService() for listener in self._public])
        for connection in self._factory.connections():
            if connection.client.in_turn:
                connection.pause_reading()
            else:
                connection.close(_GOING_AWAY, "the gateway stops")
        if not await self._within(self._drain_timeout, self._relay.when_idle()):
            self.log.warn("PHP has not answered everything in time; its answers are lost")
        for connection in self._factory.connections():
            connection.close(_GOING_AWAY, "the gateway stops")
        if not await self._within(_FAREWELL_SECONDS, self._factory.when_empty()):
            for connection in self._factory.connections():
                connection.abort()
            await self._within(_FAREWELL_SECONDS, self._factory.when_empty())
        left = max(deadline - self._reactor.seconds(), _FAREWELL_SECONDS)
        if not await self._within(left, self._relay.when_idle()):
            self.log.warn(
                "PHP does not know that {count} clients have left", count=self._relay.untold
            )
        await DeferredList([listener.stopService() for listener in self._private])
        await self._road.backend.close()
        if self._road.service is not None:
            await maybeDeferred(self._road.service.stopService)

    def _within(self, seconds: float, event: Deferred[None]) -> Deferred[bool]:
        """Whether the event comes in time."""
        in_time = event.addCallback(lambda _: True)
        return in_time.addTimeout(seconds, self._reactor, onTimeoutCancel=lambda *_: False)
