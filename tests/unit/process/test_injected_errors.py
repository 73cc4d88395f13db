"""The kernel refuses something that it hardly ever refuses; it is tried again, and works.

Real sockets on the real reactor, of which one call or another fails as it is told.
"""

import errno
import os
import socket
from collections import deque
from typing import Any, ClassVar

from twisted.internet import reactor, tcp, unix
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, UNIXClientEndpoint, UNIXServerEndpoint
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase

from phpgw.backend.fastcgi.connection import FastCgiConnection
from phpgw.backend.fastcgi.pool import FastCgiPool
from phpgw.backend.fastcgi.records import GET_VALUES
from phpgw.metrics import Metrics
from phpgw.process.listener import Listener
from phpgw.transport.write_now import write_now
from tests.support.real.process import free_port
from tests.support.real.system_test_case import SystemTestCase
from tests.unit.backend.fastcgi.test_backend import TAKEN

# What accept(2) says of a connection that broke off while it waited, and of a lack of something.
_NOT_ACCEPTED = (
    *(errno.ECONNABORTED, errno.ECONNRESET, errno.EPERM),
    *(errno.ENFILE, errno.ENOBUFS, errno.ENOMEM),
)


class Echo(Protocol):
    transport: Any

    def dataReceived(self, data: bytes) -> None:
        if data.startswith(GET_VALUES):
            # As a worker of PHP-FPM says that it is there.
            data = TAKEN * data.count(GET_VALUES)
        write_now(self.transport, data)


class Hearing(Protocol):
    """Fires after this much data was received, or after the end of the connection."""

    def __init__(self, length: int) -> None:
        self.heard: Deferred[bytes] = Deferred()
        self.ended: Deferred[None] = Deferred()
        self._length = length
        self._data = b""

    def dataReceived(self, data: bytes) -> None:
        self._data += data
        if len(self._data) == self._length:
            self.heard.callback(self._data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.ended.callback(None)


class FailingSocket(socket.socket):
    """A socket whose calls fail until the list of errors is empty."""

    accepting: ClassVar[deque[int]] = deque()
    sending: ClassVar[deque[int]] = deque()

    def accept(self) -> Any:
        self._fail(self.accepting)
        accepted, address = super().accept()
        failing = FailingSocket(accepted.family, accepted.type, fileno=accepted.detach())
        return failing, address

    def send(self, *arguments: Any) -> int:
        self._fail(self.sending)
        return super().send(*arguments)

    def _fail(self, errors: deque[int]) -> None:
        if errors:
            number = errors.popleft()
            raise OSError(number, os.strerror(number))


class ListeningTests(TestCase):
    timeout = 20

    async def listen(self) -> TCP4ClientEndpoint:
        """Start an echo server on a port whose calls fail with the given errors."""

        def create(port: tcp.Port) -> socket.socket:
            failing = FailingSocket(port.addressFamily, port.socketType)
            failing.setblocking(False)
            return failing

        self.patch(tcp.Port, "createInternetSocket", create)
        self.addCleanup(FailingSocket.accepting.clear)
        self.addCleanup(FailingSocket.sending.clear)
        number = free_port()
        endpoint = f"tcp:{number}:interface=127.0.0.1"
        listener = Listener("listen", endpoint, Factory.forProtocol(Echo), reactor)
        listener.startService()
        self.addCleanup(listener.stopService)
        return TCP4ClientEndpoint(reactor, "127.0.0.1", number)

    async def assert_echo(self, endpoint: TCP4ClientEndpoint) -> None:
        hearing = Hearing(5)
        protocol: Any = await endpoint.connect(Factory.forProtocol(lambda: hearing))
        protocol.transport.write(b"hello")
        self.assertEqual(await hearing.heard, b"hello")
        protocol.transport.abortConnection()

    async def test_accept(self) -> None:
        """A connection is accepted in spite of the error."""
        endpoint = await self.listen()
        for number in _NOT_ACCEPTED:
            FailingSocket.accepting.append(number)
            await self.assert_echo(endpoint)
            self.assertFalse(FailingSocket.accepting)
        # What Twisted does not know it logs.
        self.assertEqual(len(self.flushLoggedErrors(ConnectionResetError)), 1)

    async def test_accept_without_descriptor(self) -> None:
        """A connection is closed at once, and does not wait. The next one is accepted."""
        endpoint = await self.listen()
        FailingSocket.accepting.append(errno.EMFILE)
        hearing = Hearing(5)
        await endpoint.connect(Factory.forProtocol(lambda: hearing))
        await hearing.ended
        await self.assert_echo(endpoint)

    async def test_send(self) -> None:
        """Bytes for which the kernel has no memory are sent later."""
        endpoint = await self.listen()
        for number in (errno.ENOBUFS, errno.EINTR, errno.EAGAIN):
            FailingSocket.sending.append(number)
            await self.assert_echo(endpoint)
            self.assertFalse(FailingSocket.sending)


class FakeRequest:
    """A request that takes any reply."""

    data = b"hello"

    def __init__(self) -> None:
        self.answer: Deferred[bytes] = Deferred()
        self._data = b""

    def sent(self, connection: FastCgiConnection) -> None:
        pass

    def receive(self, data: bytes) -> bool:
        self._data += data
        return self._data == self.data

    def complete(self) -> None:
        self.answer.callback(self._data)

    def fail(self, error: Exception) -> None:
        self.answer.errback(error)


class ConnectingTests(SystemTestCase):
    """Connections to PHP."""

    async def test_no_descriptor(self) -> None:
        path = self.directory / "socket"
        factory = Factory.forProtocol(Echo)
        port = await UNIXServerEndpoint(reactor, str(path)).listen(factory)
        self.addCleanup(port.stopListening)
        errors = deque([errno.EMFILE, errno.EMFILE, errno.ENFILE])
        create = unix.Client.createInternetSocket

        def fail_at_first(client: unix.Client) -> socket.socket:
            if errors:
                raise OSError(errors.popleft(), "no descriptor")
            return create(client)

        self.patch(unix.Client, "createInternetSocket", fail_at_first)
        pool = FastCgiPool(
            reactor=reactor,
            endpoint=UNIXClientEndpoint(reactor, str(path)),
            limit=4,
            idle_seconds=0.02,
            connect_seconds=10,
            metrics=Metrics(),
        )
        self.addCleanup(pool.close)
        request = FakeRequest()
        pool.submit(request)
        self.assertEqual(await request.answer, b"hello")
        self.assertFalse(errors)
