"""One connection to a PHP-FPM worker, and what can be known of the other end."""

import select
import socket
import sys
from array import array
from contextlib import suppress
from fcntl import ioctl
from functools import partial
from termios import TIOCOUTQ
from typing import Any
from typing import Protocol as Interface

from twisted.internet import tcp
from twisted.internet.interfaces import ISSLTransport, ITCPTransport
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure

from phpgw.backend.errors import BackendBroken
from phpgw.backend.fastcgi.records import GET_VALUES, after_values

# A request of this size has left, once it was written, even where that cannot be seen.
_ONE_WRITE = 65536


class Ask(Interface):
    """A request to PHP, and whoever waits for its answer.

    :ivar request: all its bytes; empty to find out only whether there is a worker.
    """

    request: bytes

    def taken(self, connection: "Connection") -> None:
        """Note that it was sent here, to a worker that is free for it."""

    def receive(self, data: bytes) -> bool:
        """Take what PHP sent; true once that was all.

        :raises Exception: if it is unusable, be it for whoever follows it.
        """

    def complete(self) -> None:
        """Do what has to be done with the answer."""

    def fail(self, error: Exception) -> None:
        """There will be no answer."""


class Pool(Interface):
    """Whoever has connections, and wants to know when one can be used."""

    def ready(self, connection: "Connection") -> None:
        """Note that a worker waits for a request here."""

    def released(self, connection: "Connection") -> None:
        """Take it back after its request."""

    def left(self, connection: "Connection") -> None:
        """Count it no longer: nobody waits for what its worker does."""

    def lost(self, connection: "Connection", reason: Failure) -> None:
        """Note that it has ended."""


class Connection(Protocol):
    """A connection to a PHP-FPM worker; carries one request at a time.

    That it is made says nothing, since the kernel makes it and PHP-FPM may have no worker for it.
    So PHP is asked for a value first (FCGI_GET_VALUES), which a worker answers once it has taken
    the connection and waits for a request.

    :param questions: how many such questions are asked first.
    :ivar is_unused: whether there was no request yet.
    :ivar is_reusable: whether a request may follow.
    :ivar shows_free: whether it shows by itself when the worker is free after a request.
    :ivar is_asked: whether a worker has been asked to answer, and has not done so.
    :ivar has_answered: whether a worker has ever answered.
    """

    def __init__(self, pool: Pool, questions: int) -> None:
        self.is_unused = True
        self.is_reusable = True
        self.has_answered = False
        self.shows_free = False
        self._questions = questions
        self._pending = b""
        self._problem: BackendBroken | None = None
        self._pool = pool
        self._ask: Ask | None = None
        self._socket: socket.socket | None = None

    def connectionMade(self) -> None:
        self._look_into_socket()
        if self._questions:
            self._send_now(GET_VALUES * self._questions)

    def _look_into_socket(self) -> None:
        transport: Any = self.transport
        if isinstance(transport, tcp.Connection) and not ISSLTransport.providedBy(transport):
            self._socket = transport.getHandle()
            self._events = select.poll()
            self._events.register(self._socket, select.POLLIN)
            self._unread = array("i", [0])
            if self._socket.family == socket.AF_UNIX:
                self.shows_free = sys.platform == "linux"
                # The transport's own looks for passed descriptors, too; this takes 2 us less of 22.
                do_read = partial(tcp.Connection.doRead, transport)
                transport.doRead = do_read  # type: ignore[method-assign]
                return
        if ITCPTransport.providedBy(transport):
            transport.setTcpNoDelay(True)

    @property
    def is_asked(self) -> bool:
        return self._questions > 0

    def ask_again(self) -> None:
        """Ask whether the worker is free after its request."""
        self._questions = 1
        self._send_now(GET_VALUES)

    def is_ready(self) -> bool:
        """Return whether a worker waits for a request here.

        A UNIX socket can tell for certain. PHP-FPM leaves the empty STDIN record at a request's
        end unread until it looks for the next request, and by then it has decided to stay: it is
        past pm.max_requests, past what a script does behind fastcgi_finish_request(), and past a
        body longer than post_max_size, which it would not read. So once the kernel says that all
        is read, and no end of the connection is in sight, the next request will be served.
        Over TCP the worker is asked again, and its answer says the same.
        """
        if self._questions:
            return False
        if self._socket is None or not self.is_reusable:
            return self.is_reusable
        if self.shows_free:
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
        ask.taken(self)
        return True

    def _send_now(self, data: bytes) -> None:
        """Send a little, in between requests."""
        sent = 0
        if self._socket is not None:
            # What is wrong with it, the transport finds out.
            with suppress(OSError):
                sent = self._socket.send(data)
        if sent < len(data):
            self._write(data[sent:])

    def _write(self, data: bytes) -> None:
        assert self.transport is not None
        self.transport.write(data)

    def dataReceived(self, data: bytes) -> None:
        ask = self._ask
        if ask is None:
            self._hear(data)
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

    def _hear(self, data: bytes) -> None:
        """Take what comes in between requests."""
        data = self._pending + data
        while self._questions:
            try:
                rest = after_values(data)
            except BackendBroken as error:
                self._problem = error
                self.abort()
                return
            if rest is None:
                self._pending = data
                return
            data = rest
            self.has_answered = True
            self._questions -= 1
        self._pending = b""
        if data:
            # Nobody asked.
            self.abort()
        elif self.is_reusable:
            self._pool.ready(self)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        ask, self._ask = self._ask, None
        self._pool.lost(self, reason if self._problem is None else Failure(self._problem))
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

    def leave(self, instead: Ask) -> None:
        """Wait for nothing but the end of the request, with another ask in its place."""
        self._ask = instead
        self.is_reusable = False
        self._pool.left(self)

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
