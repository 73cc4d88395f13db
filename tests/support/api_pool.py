"""An HTTP API's pool in memory: PHP on the one side, the API on the other."""

from typing import Any, cast

from twisted.internet.address import IPv4Address, UNIXAddress
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from phpgw.pools.front import Front
from phpgw.pools.https.exchange import ApiConnections
from phpgw.pools.https.fields import AddedFields
from phpgw.pools.https.php_side import PhpHttpConnection
from phpgw.pools.https.server_side import ApiConnection
from phpgw.pools.https.site import ApiSite

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
GET = b"GET /a?b HTTP/1.1\r\nHost: localhost\r\n\r\n"


class ApiTransport(StringTransport):
    """A transport that knows whether it may still send."""

    is_aborted = False
    is_half_closed = False

    def setTcpNoDelay(self, enabled: bool) -> None:  # noqa: N802
        pass

    def loseWriteConnection(self) -> None:  # noqa: N802
        self.is_half_closed = True

    def abortConnection(self) -> None:  # noqa: N802
        self.is_aborted = True

    @property
    def is_paused(self) -> bool:
        return self.producerState == "paused"

    def taken(self) -> bytes:
        """Return what was written since the last time."""
        value = self.value()
        self.clear()
        return value


class Php:
    """PHP at the other end of a connection to the pool."""

    def __init__(self, site: ApiSite, *, over_tcp: bool = False) -> None:
        host: Any = IPv4Address("TCP", "127.0.0.1", 80) if over_tcp else UNIXAddress("/s")
        self.transport = ApiTransport(hostAddress=host)
        self.front = Front(None, lambda: PhpHttpConnection(site))
        self.connection = self.front.buildProtocol(None)
        self.connection.makeConnection(self.transport)

    def send(self, data: bytes) -> None:
        self.connection.dataReceived(data)

    def leave(self) -> None:
        self.connection.connectionLost(Failure(ConnectionDone()))

    def received(self) -> bytes:
        return self.transport.taken()

    @property
    def is_closed(self) -> bool:
        transport = self.transport
        return transport.disconnecting or transport.is_aborted or transport.is_half_closed


class Api:
    """The API at the other end of a connection of the pool."""

    def __init__(self, clock: Clock) -> None:
        self.transport = ApiTransport()
        self.losses: list[ApiConnection] = []
        self.connection = ApiConnection(clock, self.losses.append, uses_tls=False)
        self.connection.makeConnection(self.transport)

    def send(self, data: bytes) -> None:
        self.connection.dataReceived(data)

    def leave(self, reason: type[Exception] = ConnectionDone) -> None:
        self.connection.connectionLost(Failure(reason()))

    def reset(self) -> None:
        self.leave(ConnectionLost)

    def received(self) -> bytes:
        return self.transport.taken()

    @property
    def is_closed(self) -> bool:
        return self.transport.is_aborted


class FakeApiPool:
    """A pool whose connections are handed out by the test.

    :ivar waiting: for each call of :meth:`take`, what it has returned.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.waiting: list[Deferred[ApiConnection]] = []
        self.kept: list[ApiConnection] = []
        self.discarded: list[ApiConnection] = []

    def take(self, key: None) -> Deferred[ApiConnection]:
        self.waiting.append(Deferred())
        return self.waiting[-1]

    def give_back(self, connection: ApiConnection) -> None:
        self.kept.append(connection)

    def discard(self, connection: ApiConnection) -> None:
        self.discarded.append(connection)
        connection.close()

    def hand_over(self, api: Api | None = None) -> Api:
        """Hand over a connection, a new one by default."""
        api = api or Api(self._clock)
        self.waiting.pop(0).callback(api.connection)
        return api


class ApiTestCase(SynchronousTestCase):
    """A test of an API's pool in memory."""

    added = AddedFields()
    base = b""

    def setUp(self) -> None:
        self.clock = Clock()
        self.pool = FakeApiPool(self.clock)
        self.site = ApiSite(
            self.clock,
            name="api",
            host=b"api.example",
            base=self.base,
            pool=cast(ApiConnections, self.pool),
            timeout=30,
            added=self.added,
        )

    def connect(self, *, over_tcp: bool = False) -> Php:
        return Php(self.site, over_tcp=over_tcp)

    def ask(self, request: bytes = GET) -> tuple[Php, Api]:
        """Send a request of PHP; return both ends."""
        php = self.connect()
        php.send(request)
        return php, self.pool.hand_over()

    def answer(self, response: bytes, request: bytes = GET) -> bytes:
        """Return what PHP gets of a response."""
        php, api = self.ask(request)
        api.send(response)
        return php.received()
