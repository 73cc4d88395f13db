"""One connection to a PHP-FPM worker, and what can be known of the other end."""

import select
import socket
import sys
from array import array
from fcntl import ioctl
from functools import partial
from termios import TIOCOUTQ
from typing import Any
from typing import Protocol as Interface

from twisted.internet import tcp
from twisted.internet.interfaces import ISSLTransport, ITCPTransport
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure

from phpgw.backend import BackendBroken

# A request of this size has left, once it was written, even where that cannot be seen.
_ONE_WRITE = 65536


class Ask(Interface):
    """A request to PHP, and whoever waits for its answer.

    :ivar request: all its bytes.
    :ivar connection: where it was sent.
    """

    request: bytes
    connection: "Connection | None"

    def receive(self, data: bytes) -> bool:
        """Take what PHP sent; true once that was all.

        :raises Exception: if it is unusable, be it for whoever follows it.
        """

    def complete(self) -> None:
        """Do what has to be done with the answer."""

    def fail(self, error: Exception) -> None:
        """There will be no answer."""


class Pool(Interface):
    """Whoever has connections, and wants to know when one can be used again."""

    def released(self, connection: "Connection") -> None:
        """It has done its work."""

    def lost(self, connection: "Connection", reason: Failure) -> None:
        """It has ended."""


class Connection(Protocol):
    """A connection to a PHP-FPM worker; carries one request at a time.

    :ivar is_unused: whether there was no request yet.
    :ivar is_reusable: whether a request may follow.
    """

    def __init__(self, pool: Pool) -> None:
        self.is_unused = True
        self.is_reusable = True
        self._pool = pool
        self._ask: Ask | None = None
        self._socket: socket.socket | None = None
        self._tells_unread = False

    def connectionMade(self) -> None:
        transport: Any = self.transport
        if isinstance(transport, tcp.Connection) and not ISSLTransport.providedBy(transport):
            self._socket = transport.getHandle()
            self._events = select.poll()
            self._events.register(self._socket, select.POLLIN)
            self._unread = array("i", [0])
            if self._socket.family == socket.AF_UNIX:
                self._tells_unread = sys.platform == "linux"
                # The transport's own looks for passed descriptors, too; this takes 2 us less of 22.
                do_read = partial(tcp.Connection.doRead, transport)
                transport.doRead = do_read  # type: ignore[method-assign]
                return
        if ITCPTransport.providedBy(transport):
            transport.setTcpNoDelay(True)

    def is_ready(self) -> bool:
        """Whether a worker waits for a request here, as far as can be told.

        A UNIX socket can tell for certain. PHP-FPM leaves the empty STDIN record at a request's
        end unread until it looks for the next request, and by then it has decided to stay: it is
        past pm.max_requests, past what a script does behind fastcgi_finish_request(), and past a
        body longer than post_max_size, which it would not read. So once the kernel says that all
        is read, and no end of the connection is in sight, the next request will be served.
        Over TCP, only the end of the connection shows.
        """
        if self._socket is None or not self.is_reusable:
            return self.is_reusable
        if self._tells_unread:
            ioctl(self._socket, TIOCOUTQ, self._unread)
            if self._unread[0]:
                return False
        return not self._events.poll(0)

    def send(self, ask: Ask) -> bool:
        """Send a request.

        :returns: false if the connection turns out to be closed, and nothing of it was sent.
        """
        request = ask.request
        if self._socket is None:
            self._write(request)
            self.is_reusable = len(request) <= _ONE_WRITE
        else:
            # Twisted would send from the reactor's next turn: 5 us more of 27, and later.
            try:
                sent = self._socket.send(request)
            except BlockingIOError:
                sent = 0
            except OSError:
                self.abort()
                return False
            if sent < len(request):
                # PHP may answer without having read it all; what is left is no request.
                self._write(request[sent:])
                self.is_reusable = False
        self.is_unused = False
        self._ask = ask
        ask.connection = self
        return True

    def _write(self, data: bytes) -> None:
        assert self.transport is not None
        self.transport.write(data)

    def dataReceived(self, data: bytes) -> None:
        ask = self._ask
        if ask is None:
            # Nobody asked.
            self.abort()
            return
        try:
            is_complete = ask.receive(data)
        except Exception as error:
            if self._ask is ask:
                self.abort()
                ask.fail(error)
            return
        # Whoever follows an answer may have left it meanwhile.
        if is_complete and self._ask is ask:
            self._ask = None
            self._pool.released(self)
            ask.complete()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        ask, self._ask = self._ask, None
        self._pool.lost(self, reason)
        if ask is not None:
            # PHP may have begun with it, so it is not tried again.
            ask.fail(BackendBroken(f"PHP's answer was cut off: {reason.getErrorMessage()}"))

    def pause(self) -> None:
        """Leave with PHP what it has to say."""
        transport: Any = self.transport
        transport.pauseProducing()

    def resume(self) -> None:
        """Take it again."""
        transport: Any = self.transport
        transport.resumeProducing()

    def give_back(self) -> None:
        """Close it in between requests."""
        if self.is_reusable:
            self.is_reusable = False
            assert self.transport is not None
            self.transport.loseConnection()
        else:
            self.abort()

    def abort(self) -> None:
        """Close it at once; whoever waits for an answer will not hear of it."""
        self._ask = None
        self.is_reusable = False
        transport: Any = self.transport
        getattr(transport, "abortConnection", transport.loseConnection)()

    def stop(self) -> None:
        """Close it at once, and say so."""
        ask = self._ask
        self.abort()
        if ask is not None:
            ask.fail(BackendBroken("the gateway stopped before PHP answered"))
