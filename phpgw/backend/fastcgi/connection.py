"""One connection to a PHP-FPM worker, which carries one request at a time."""

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

from twisted.internet import main, tcp
from twisted.internet.interfaces import ISSLTransport, ITCPTransport
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure

from phpgw.backend.errors import BackendBroken
from phpgw.backend.fastcgi.records import GET_VALUES, strip_values_result
from phpgw.transport.socket_reactor import report_once_of

# How many bytes are read at once: as many as a Twisted transport reads.
_READ_SIZE = 65536
# Replies that are shorter than this are left in the socket until the next request has been sent.
_PEEK_SIZE = 4096
# A request of this size is sent whole with one write, also over TLS, where that cannot be seen.
_MAX_SINGLE_WRITE = 65536


class FastCgiRequest(Interface):
    """A request to PHP-FPM, and the receiver of its reply.

    :ivar data: all its records; empty to find out only whether there is a worker.
    """

    data: bytes

    def sent(self, connection: "FastCgiConnection") -> None:
        """Note that the request was sent over a connection, to a worker that waits for it."""

    def receive(self, data: bytes) -> bool:
        """Receive a part of the reply, and return whether the reply is complete.

        :raises Exception: if it is unusable; the connection is closed then.
        """

    def complete(self) -> None:
        """Hand on the complete reply."""

    def fail(self, error: Exception) -> None:
        """Report that there will be no reply."""


class ConnectionOwner(Interface):
    """Has connections, and is told when one of them changes its state."""

    def ready(self, connection: "FastCgiConnection") -> None:
        """Note that a worker waits for a request on this connection."""

    def released(self, connection: "FastCgiConnection") -> None:
        """Note that the reply on this connection is complete."""

    def abandoned(self, connection: "FastCgiConnection") -> None:
        """Note that nothing waits for the reply on this connection any more."""

    def lost(self, connection: "FastCgiConnection", reason: Failure) -> None:
        """Note that this connection has ended."""


class FastCgiConnection(Protocol):
    """A connection to a PHP-FPM worker; carries one request at a time.

    An open connection does not mean that there is a worker: the kernel opens it while it waits in
    PHP-FPM's listen queue. So PHP-FPM is queried for a value first (FCGI_GET_VALUES). A worker
    sends it once it has accepted the connection and waits for a request.

    :param queries: how many such queries are sent first.
    :ivar is_unused: whether there was no request yet.
    :ivar is_reusable: whether a request may follow.
    :ivar shows_idle: whether the socket itself shows when the worker is idle after a request.
    :ivar has_replied: whether a worker has ever replied to a query.
    """

    def __init__(self, owner: ConnectionOwner, queries: int) -> None:
        self.is_unused = True
        self.is_reusable = True
        self.has_replied = False
        self.shows_idle = False
        # How many bytes of a reply have been read, and are still in the socket.
        self._peeked = 0
        self._pending_queries = queries
        self._unparsed = b""
        self._problem: BackendBroken | None = None
        self._owner = owner
        self._request: FastCgiRequest | None = None
        self._socket: socket.socket | None = None

    def connectionMade(self) -> None:
        """Send the queries."""
        self._use_socket()
        if self._pending_queries:
            self._send_now(GET_VALUES * self._pending_queries)

    def _use_socket(self) -> None:
        """Read and write without Twisted's detours where the transport is a plain socket."""
        transport: Any = self.transport
        if isinstance(transport, tcp.Connection) and not ISSLTransport.providedBy(transport):
            self._socket = transport.getHandle()
            self._events = select.poll()
            self._events.register(self._socket, select.POLLIN)
            self._unread = array("i", [0])
            transport.doRead = self._read  # type: ignore[method-assign]
            if self._socket.family != socket.AF_UNIX:
                transport.setTcpNoDelay(True)
            elif sys.platform == "linux":
                self.shows_idle = True
                self._hang_ups = select.poll()
                self._hang_ups.register(self._socket, select.POLLRDHUP)
                self._report_once = partial(report_once_of(transport.reactor), transport)
                self._report_once()
            return
        if ITCPTransport.providedBy(transport):
            transport.setTcpNoDelay(True)

    def _read(self) -> Any:
        """Do the same as the transport's ``doRead``, without its three calls in between.

        That of a UNIX socket also looks for passed descriptors.
        """
        assert self._socket is not None
        if self._peeked:
            # More has come, or the worker has hung up.
            self._discard_peeked()
        if self.shows_idle and self.is_reusable and self._peek():
            return None
        try:
            data = self._socket.recv(_READ_SIZE)
        except BlockingIOError:
            return None
        except OSError:
            return main.CONNECTION_LOST
        if not data:
            return main.CONNECTION_DONE
        self.dataReceived(data)
        if self.shows_idle and len(data) == _READ_SIZE:
            self._report_once()
        return None

    def _peek(self) -> bool:
        """Read a short reply, and leave it in the socket until the next request has been sent.

        As soon as a reply is taken out of a UNIX socket, the kernel wakes its worker, which sleeps
        by then, so that it can send more. After the next request the worker is awake anyway. This
        makes 8 % more messages a second with 32 clients, and 12 % with one, with 5 and 13 % less
        CPU of the gateway. What is left in the socket is reported no more than once.

        :returns: false if nothing was read, or there may be more than that.
        """
        assert self._socket is not None
        try:
            data = self._socket.recv(_PEEK_SIZE, socket.MSG_PEEK)
        except OSError:
            return False
        if not 0 < len(data) < _PEEK_SIZE:
            return False
        self._peeked = len(data)
        self.dataReceived(data)
        if self._peeked and (self._request is not None or self._pending_queries):
            # More is to come, and must be told from what has been read.
            self._discard_peeked()
        return True

    def _discard_peeked(self) -> None:
        """Take a reply that has been read out of the socket."""
        assert self._socket is not None
        size, self._peeked = self._peeked, 0
        try:
            self._socket.recv(size)
        except OSError:
            # It is found again when the socket is read.
            return

    @property
    def is_queried(self) -> bool:
        """Return whether a query has not been replied to."""
        return self._pending_queries > 0

    def query(self) -> None:
        """Query whether the worker is idle after its request."""
        self._pending_queries = 1
        self._send_now(GET_VALUES)

    def is_ready(self) -> bool:
        """Return whether a worker waits for a request on this connection.

        A UNIX socket shows that for certain. PHP-FPM leaves the empty STDIN record at a request's
        end unread until it looks for the next request. By then it has decided to keep the
        connection, also with regard to pm.max_requests; it has run what a script does after
        fastcgi_finish_request(); and it has skipped a body longer than post_max_size. So once the
        kernel reports that all is read, and that the other end is open, PHP-FPM serves the next
        request. Over TCP a query and its reply show the same.
        """
        if self._pending_queries:
            return False
        if self._socket is None or not self.is_reusable:
            return self.is_reusable
        if self.shows_idle:
            ioctl(self._socket, TIOCOUTQ, self._unread)
            if self._unread[0]:
                return False
        # While a reply is still in the socket, that is readable anyway.
        return not (self._hang_ups if self._peeked else self._events).poll(0)

    def send(self, request: FastCgiRequest) -> bool:
        """Send a request.

        :returns: false if the connection is closed, so that nothing of the request was sent.
        """
        data = request.data
        if self._socket is None:
            self._write(data)
            self.is_reusable = len(data) <= _MAX_SINGLE_WRITE
        else:
            # Twisted would send in the reactor's next turn: later, and 5 us more, of 27.
            try:
                sent = self._socket.send(data)
            except BlockingIOError:
                sent = 0
            except OSError:
                self.abort()
                return False
            if self._peeked:
                self._discard_peeked()
            if sent < len(data):
                # PHP may reply before it has read all. It would take the rest for a new request.
                self._write(data[sent:])
                self.is_reusable = False
        self.is_unused = False
        self._request = request
        request.sent(self)
        return True

    def _send_now(self, data: bytes) -> None:
        """Send a few bytes between requests."""
        sent = 0
        if self._socket is not None:
            # The transport reports errors.
            with suppress(OSError):
                sent = self._socket.send(data)
        if sent < len(data):
            self._write(data[sent:])

    def _write(self, data: bytes) -> None:
        assert self.transport is not None
        self.transport.write(data)

    def dataReceived(self, data: bytes) -> None:
        """Hand data to the request, and release the connection once its reply is complete."""
        request = self._request
        if request is None:
            self._receive_between_requests(data)
            return
        try:
            is_complete = request.receive(data)
        except Exception as error:
            if self._request is request:
                self.abort()
                request.fail(error)
            return
        # What took a part of the reply may have cancelled the request.
        if is_complete and self._request is request:
            self._request = None
            self._owner.released(self)
            request.complete()

    def _receive_between_requests(self, data: bytes) -> None:
        """Take the replies to queries."""
        data = self._unparsed + data
        while self._pending_queries:
            try:
                rest = strip_values_result(data)
            except BackendBroken as error:
                self._problem = error
                self.abort()
                return
            if rest is None:
                self._unparsed = data
                return
            data = rest
            self.has_replied = True
            self._pending_queries -= 1
        self._unparsed = b""
        if data:
            # There was no request for it.
            self.abort()
        elif self.is_reusable:
            self._owner.ready(self)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Tell the owner, and fail the request."""
        request, self._request = self._request, None
        self._owner.lost(self, reason if self._problem is None else Failure(self._problem))
        if request is not None:
            # PHP may have begun with it, so there is no retry.
            request.fail(BackendBroken(f"PHP's reply was cut off: {reason.getErrorMessage()}"))

    def pause(self) -> None:
        """Stop reading, which makes PHP wait."""
        transport: Any = self.transport
        transport.pauseProducing()

    def resume(self) -> None:
        """Read again."""
        transport: Any = self.transport
        transport.resumeProducing()
        if self.shows_idle:
            self._report_once()

    def abandon(self, successor: FastCgiRequest) -> None:
        """Give up the request's reply, and put another request in its place that awaits its end."""
        self._request = successor
        self.is_reusable = False
        self._owner.abandoned(self)

    def close(self) -> None:
        """Close the connection between two requests."""
        if self._peeked:
            # The worker would get an error, and not just the end.
            self._discard_peeked()
        if self.is_reusable:
            self.is_reusable = False
            assert self.transport is not None
            self.transport.loseConnection()
        else:
            self.abort()

    def abort(self) -> None:
        """Close the connection at once, without telling its request."""
        self._request = None
        self.is_reusable = False
        transport: Any = self.transport
        getattr(transport, "abortConnection", transport.loseConnection)()

    def stop(self) -> None:
        """Close the connection at once, and fail its request."""
        request = self._request
        self.abort()
        if request is not None:
            request.fail(BackendBroken("the gateway stopped before PHP replied"))
