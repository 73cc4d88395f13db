"""Finds the master that Sentinels know."""

from collections.abc import Callable, Sequence
from typing import Any

import attrs
from twisted.application.service import Service
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.interfaces import IProtocolFactory, IStreamClientEndpoint
from twisted.internet.protocol import Factory
from twisted.internet.task import LoopingCall
from twisted.python.failure import Failure
from zope.interface import implementer

from phpgw.bus.connect_errors import explain
from phpgw.bus.connection import RedisConnection
from phpgw.bus.handshake import Login
from phpgw.bus.interface import BusUnavailable
from phpgw.bus.link import Link
from phpgw.settings.host_and_port import HostAndPort

# Seconds for a Sentinel to reply, and between two questions.
_REPLY_SECONDS = 1.0
_WATCH_SECONDS = 1.0


@attrs.frozen
class MasterReport:
    """The master of which a Sentinel knows.

    :ivar epoch: the number of the failover that made it the master: a higher one is newer.
    """

    epoch: int
    place: HostAndPort


@implementer(IStreamClientEndpoint)
class SentinelEndpoint:
    """Connects to the master.

    :param master: its name.
    :param make_endpoint: makes the endpoint for the master, or a Sentinel, at an address.
    :ivar place: the master that was connected to at last; ``None`` before.
    """

    def __init__(
        self,
        reactor: Any,
        sentinels: Sequence[HostAndPort],
        master: str,
        login: Login,
        make_endpoint: Callable[[HostAndPort], IStreamClientEndpoint],
    ) -> None:
        self.place: HostAndPort | None = None
        self._reactor = reactor
        self._sentinels = {each: make_endpoint(each) for each in sentinels}
        self._master = master
        self._login = login
        self._make_endpoint = make_endpoint

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[Any]:  # noqa: N803
        """See ``IStreamClientEndpoint``."""
        return Deferred.fromCoroutine(self._connect(protocolFactory))

    async def _connect(self, factory: IProtocolFactory) -> Any:
        self.place = await self.find()
        return await self._make_endpoint(self.place).connect(factory)

    async def find(self) -> HostAndPort:
        """Return where the master is, as the Sentinel says that knows of the last failover.

        A Sentinel that is cut off from the others may name an old one.

        :raises BusUnavailable: if none of them knows.
        """
        asked = [Deferred.fromCoroutine(self._ask(each)) for each in self._sentinels]
        replies = await gatherResults(asked)
        reports = [each for each in replies if isinstance(each, MasterReport)]
        if not reports:
            reasons = ", ".join(dict.fromkeys(map(str, replies)))
            raise BusUnavailable(f"no Sentinel names the master: {reasons}")
        return max(reports, key=lambda report: report.epoch).place

    async def _ask(self, sentinel: HostAndPort) -> MasterReport | str:
        """Return what a Sentinel says, or why it says nothing."""
        connection = RedisConnection(_ignore_frame)
        asking = Deferred.fromCoroutine(self._ask_on(connection, self._sentinels[sentinel]))
        try:
            return await asking.addTimeout(_REPLY_SECONDS, self._reactor)
        except Exception as error:
            return explain(error)
        finally:
            connection.end("the Sentinel was asked")

    async def _ask_on(
        self, connection: RedisConnection, endpoint: IStreamClientEndpoint
    ) -> MasterReport:
        factory = Factory.forProtocol(lambda: connection)
        factory.noisy = False
        await endpoint.connect(factory)
        password = self._login.read_password()
        if password is not None:
            user = (self._login.user,) if self._login.user else ()
            # Most Sentinels have no password, and refuse one.
            connection.request(("AUTH", *user, password)).addErrback(_ignore_refusal)
        reply = await connection.request(("SENTINEL", "MASTER", self._master))
        facts = dict(zip(reply[::2], reply[1::2], strict=False))
        try:
            place = HostAndPort(facts[b"ip"].decode(), int(facts[b"port"]))
            return MasterReport(int(facts[b"config-epoch"]), place)
        except (KeyError, ValueError):
            raise BusUnavailable("it does not reply like a Sentinel") from None


class MasterWatch(Service):
    """Ends the link's connection if another server has become the master.

    The old one may live on, cut off from the others, and reply to all requests.
    """

    def __init__(self, reactor: Any, endpoint: SentinelEndpoint, link: Link) -> None:
        self._endpoint = endpoint
        self._link = link
        self._looping = LoopingCall(lambda: Deferred.fromCoroutine(self._look()))
        self._looping.clock = reactor

    def startService(self) -> None:
        """Ask the Sentinels again and again."""
        super().startService()
        self._looping.start(_WATCH_SECONDS, now=False)

    def stopService(self) -> None:
        """Ask them no more."""
        super().stopService()
        self._looping.stop()

    async def _look(self) -> None:
        connection = self._link.connection
        if connection is None:
            return
        try:
            place = await self._endpoint.find()
        except BusUnavailable:
            # The engine is asked as long as it replies.
            return
        if place != self._endpoint.place:
            connection.end("the Sentinels have made another server the master")


def _ignore_refusal(failure: Failure) -> None:
    """Ignore that a login was refused: the next request shows whether one was needed."""


def _ignore_frame(channel: bytes, frame: bytes) -> None:
    """Ignore a frame, since nothing was subscribed to."""
