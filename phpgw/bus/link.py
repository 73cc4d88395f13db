"""Keeps a connection to the engine: makes it, probes it, and makes it again when it is lost."""

import random
from secrets import token_hex
from typing import Any, Protocol

import attrs
from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.protocol import Factory
from twisted.internet.task import deferLater
from twisted.logger import Logger

from phpgw.bus.connect_errors import explain
from phpgw.bus.connection import RedisConnection
from phpgw.bus.handshake import Engine, Login, log_in
from phpgw.bus.interface import BusUnavailable
from phpgw.bus.names import BusNames
from phpgw.bus.probe import REPLY_SECONDS, ConnectionProbe
from phpgw.log_limit import line_limit

# Seconds until the next attempt: the first, the longest, and by what it grows. A random part of up
# to a half is left out, so that not all gateways come at once.
_FIRST_DELAY, _MAX_DELAY, _GROWTH = 0.1, 2.0, 1.6
# Seconds after which a connection counts as stable, and the delay is the first again.
_STABLE_SECONDS = 10.0
# Seconds for the last requests, when the link stops.
_STOP_SECONDS = 1.0


class LinkOwner(Protocol):
    """The one that a link is for."""

    async def prepare(self, connection: RedisConnection) -> None:
        """Make the first requests on a new connection, before others can be made.

        :raises BusUnavailable: if the connection cannot be used.
        """

    def connected(self) -> None:
        """Note that the connection can be used."""

    def lost(self, reason: str) -> None:
        """Note that the connection cannot be used any more."""

    def received(self, channel: bytes, frame: bytes) -> None:
        """Take a frame; the channel has its full name."""


@attrs.frozen
class EnginePlace:
    """The place of the engine, with the login there.

    :ivar address: where it is, for people.
    """

    endpoint: IStreamClientEndpoint
    address: str
    login: Login


class Link(Service):
    """A connection to the engine, as long as the service runs.

    :ivar connection: the connection; ``None`` while there is none that can be used.
    :ivar engine: the engine, as it said itself at last; ``None`` if it was never reached.
    :ivar times_lost: how often a connection was lost.
    """

    log = Logger(observer=line_limit)

    def __init__(self, reactor: Any, place: EnginePlace, names: BusNames, owner: LinkOwner) -> None:
        self.connection: RedisConnection | None = None
        self.engine: Engine | None = None
        self.times_lost = 0
        self._reactor = reactor
        self._place = place
        self._names = names
        self._owner = owner
        self._probe: ConnectionProbe | None = None
        self._reason = "it was not asked yet"
        self._away_since = reactor.seconds()
        self._loop: Deferred[None] = succeed(None)

    @property
    def problem(self) -> str:
        """Return what is wrong, and since when; empty if all is well.

        No address is in it: strangers may read it at ``/readyz``. The log has that.
        """
        if self.connection is None:
            seconds = self._reactor.seconds() - self._away_since
            return f"the bus is away for {seconds:.0f} s: {self._reason}"
        refusal = "" if self._probe is None else self._probe.refusal
        return refusal and f"the bus takes no data: {refusal}"

    def startService(self) -> None:
        """Connect, and stay connected."""
        super().startService()
        self._away_since = self._reactor.seconds()
        self._loop = Deferred.fromCoroutine(self._stay_connected())
        self._loop.addErrback(lambda failure: failure.trap(CancelledError) and None)

    def stopService(self) -> Deferred[None]:
        """Close the connection, once all that was asked is done; fire when it is closed."""
        super().stopService()
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        connection = self.connection
        if connection is None:
            self._loop.cancel()
            return
        deadline = self._reactor.callLater(_STOP_SECONDS, connection.end, "the gateway stops")
        try:
            # The engine may drop what it has not read when it finds the connection closed.
            await connection.request(("PING",))
            connection.close()
        except BusUnavailable as error:
            connection.end(str(error))
        await self._loop
        if deadline.active():
            deadline.cancel()

    async def _stay_connected(self) -> None:
        """Connect again and again, until the service stops."""
        delay = _FIRST_DELAY
        while True:
            started_at = self._reactor.seconds()
            reason = await self._connect()
            if not self.running:
                return
            if reason != self._reason:
                self.log.warn(
                    "The bus at {address} is away: {reason}",
                    address=self._place.address,
                    reason=reason,
                )
            self._reason = reason
            if self._reactor.seconds() - started_at > _STABLE_SECONDS:
                delay = _FIRST_DELAY
            await deferLater(self._reactor, delay * random.uniform(0.5, 1))
            delay = min(delay * _GROWTH, _MAX_DELAY)

    async def _connect(self) -> str:
        """Make a connection, stay connected as long as possible, and return why it ended."""
        name = f"phpgw-{token_hex(8)}"
        probe_channel = self._names.channels + b"probe:" + name.encode()
        received = self._owner.received

        def dispatch(channel: bytes, frame: bytes) -> None:
            if channel == probe_channel:
                probe.note_frame()
            else:
                received(channel, frame)

        connection = RedisConnection(dispatch)
        probe_key = self._names.keys + b"probe"
        probe = ConnectionProbe(self._reactor, connection, probe_channel, probe_key)
        try:
            factory = Factory.forProtocol(lambda: connection)
            factory.noisy = False
            await self._in_time(self._place.endpoint.connect(factory))
            engine = await self._in_time(
                Deferred.fromCoroutine(log_in(connection, self._place.login, self._names, name))
            )
            await self._in_time(connection.subscribe((probe_channel,)))
            await self._in_time(Deferred.fromCoroutine(self._owner.prepare(connection)))
        except CancelledError:
            connection.end("the gateway stops")
            raise
        except Exception as error:
            reason = explain(error)
            connection.end(reason)
            return reason
        self._begin(connection, engine, probe)
        reason = await connection.when_ended()
        probe.stop()
        self._lose(reason)
        return reason

    def _begin(self, connection: RedisConnection, engine: Engine, probe: ConnectionProbe) -> None:
        self.connection, self.engine, self._probe = connection, engine, probe
        self._reason = ""
        self.log.info(
            "The bus at {address} is connected: {engine}",
            address=self._place.address,
            engine=str(engine),
        )
        probe.start()
        self._owner.connected()

    def _lose(self, reason: str) -> None:
        self.connection = self._probe = None
        self._reason = reason
        self._away_since = self._reactor.seconds()
        self.times_lost += 1
        if self.running:
            self._owner.lost(reason)

    def _in_time(self, step: Deferred[Any]) -> Deferred[Any]:
        """Have a step fail if it takes too long."""
        return step.addTimeout(REPLY_SECONDS, self._reactor)
