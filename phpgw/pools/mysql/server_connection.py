"""A connection to the server: a session that PHP requests use one after another."""

from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import ITCPTransport
from twisted.internet.protocol import Protocol as TwistedProtocol
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure

from phpgw.pools.mysql.cleaning import Cleaning, NewSession, NewSessionQuery, NotClean
from phpgw.pools.mysql.commands import QUIT, encode_command
from phpgw.pools.mysql.packets import MalformedPacket, MySqlPacket, PacketDecoder
from phpgw.pools.mysql.server_login import ServerLogin
from phpgw.transport.peek import is_quiet
from phpgw.transport.write_now import write_now

# Seconds for the answers to a cleaning. The server has to roll back a transaction before.
_CLEANING_SECONDS = 10.0
# Seconds for what was written last to arrive, before a connection is aborted.
_CLOSING_SECONDS = 2.0


class ServerUser(Protocol):
    """Who has a connection, and is told of what happens on it."""

    def server_sent(self, data: bytes) -> None:
        """Take what the server has sent."""
        ...

    def server_closed(self, reason: Failure) -> None:
        """Note that the connection is closed."""
        ...


class MySqlConnection(TwistedProtocol):
    """A connection to the server. It is idle, or one user has it.

    :param lost_idle: called with this connection when it ends while it is idle.
    :ivar opened_at: see :class:`phpgw.pools.connector.ServerConnection`.
    :ivar connection_id: the server's number for it.
    :ivar session: the session as it was when it was new; ``None`` until it is known.
    """

    transport: Any = None

    def __init__(self, reactor: Any, lost_idle: Callable[["MySqlConnection"], object]) -> None:
        self.opened_at: float = reactor.seconds()
        self.connection_id = 0
        self.session: NewSession | None = None
        self._last_cleaning: Cleaning | None = None
        self._reactor = reactor
        self._lost_idle = lost_idle
        # Until it has logged in, and then nobody.
        self._login_packets = _Packets()
        self._user: ServerUser | None = self._login_packets
        self._is_closed = False
        self._abort: Any = None

    def connectionMade(self) -> None:
        """Send commands at once, and have the system notice a server that is gone."""
        if ITCPTransport.providedBy(self.transport):
            self.transport.setTcpNoDelay(True)
            self.transport.setTcpKeepAlive(True)

    @property
    def address(self) -> object:
        """Return the address of the server."""
        return self.transport.getPeer()

    async def log_in(self, login: ServerLogin, tls: Any) -> None:
        """Log in, and find out what a new session is like.

        :param tls: the options of TLS; ``None`` without.
        :raises Exception: those of :meth:`.ServerLogin.receive`, and of :class:`.NewSessionQuery`,
            and that with which the connection has ended.
        """
        packets = self._login_packets
        while login.answer is None:
            answer = login.receive(await packets.next())
            if tls is not None and login.greeting is not None:
                if not packets.is_empty:
                    raise MalformedPacket("something behind the greeting, before TLS")
                self.transport.write(answer)
                self.transport.startTLS(tls)
                tls, answer = None, login.respond()
            if answer:
                self.transport.write(answer)
        assert login.greeting is not None
        self.connection_id = login.greeting.connection_id
        query = NewSessionQuery(login.database, login.answer.status)
        self.transport.write(query.request)
        while self.session is None:
            self.session = query.receive([await packets.next()])
        if not packets.is_empty:
            raise MalformedPacket("something behind the answers")
        self.lend(None)

    def lend(self, user: ServerUser | None) -> None:
        """Have what happens told to a user, or to nobody when it is idle."""
        self._user = user

    def is_alive(self) -> bool:
        """See :class:`phpgw.pools.connector.ServerConnection`."""
        return not self._is_closed and is_quiet(self.transport)

    def clean(self) -> Deferred[None]:
        """Clean the session, which is idle then.

        :returns: fails with :exc:`.NotClean`, or another exception.
        """
        assert self.session is not None
        if self._is_closed:
            return fail(NotClean("it is closed"))
        cleaning = Cleaning(self.session, self._last_cleaning)
        user = _CleaningUser(cleaning)
        self.lend(user)
        write_now(self.transport, cleaning.request)

        def leave(outcome: Any) -> Any:
            if self._user is user:
                self.lend(None)
            return outcome

        def remember(_: None) -> None:
            self._last_cleaning = cleaning

        user.done.addTimeout(_CLEANING_SECONDS, self._reactor)
        return user.done.addBoth(leave).addCallback(remember)

    def finish(self, seconds: float) -> Deferred[None]:
        """Have the server carry out what it has got, and end the session.

        :param seconds: how long the server may take.
        :returns: fires when the server has closed the connection, or the time is over.
        """
        if self._is_closed:
            return succeed(None)
        waiting = _Ending()
        self.lend(waiting)
        self.transport.write(encode_command(QUIT))
        waiting.done.addTimeout(seconds, self._reactor, onTimeoutCancel=lambda *_: None)
        return waiting.done

    def close(self) -> None:
        """Send what waits to be sent, and close the connection."""
        self._user = None
        if not self._is_closed:
            self._is_closed = True
            self._abort = self._reactor.callLater(_CLOSING_SECONDS, self.transport.abortConnection)
            self.transport.loseConnection()

    def dataReceived(self, data: bytes) -> None:
        """Hand on what the server has sent; an idle connection is closed if it sends anything."""
        if self._user is not None:
            self._user.server_sent(data)
        elif not self._is_closed:
            self._lost_idle(self)
            self.close()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Report the end."""
        was_open, self._is_closed = not self._is_closed, True
        if self._abort is not None and self._abort.active():
            self._abort.cancel()
        user, self._user = self._user, None
        if user is not None:
            user.server_closed(reason)
        elif was_open:
            self._lost_idle(self)


class _Packets:
    """A user that reads packets, one after another."""

    def __init__(self) -> None:
        self._decoder = PacketDecoder()
        self._packets: deque[MySqlPacket] = deque()
        self._failure: Failure | None = None
        self._waiting: Deferred[MySqlPacket] | None = None

    @property
    def is_empty(self) -> bool:
        """Return whether nothing has come that was not read."""
        return not self._packets and not len(self._decoder) and self._failure is None

    def next(self) -> Deferred[MySqlPacket]:
        """Fire with the next packet; fail at the end of the connection."""
        waiting: Deferred[MySqlPacket] = Deferred()
        self._waiting = waiting
        self._go_on()
        return waiting

    def server_sent(self, data: bytes) -> None:
        """See :class:`ServerUser`."""
        try:
            self._packets.extend(self._decoder.feed(data))
        except MalformedPacket:
            self._failure = Failure()
        self._go_on()

    def server_closed(self, reason: Failure) -> None:
        """See :class:`ServerUser`."""
        self._failure = self._failure or reason
        self._go_on()

    def _go_on(self) -> None:
        if self._waiting is None or (not self._packets and self._failure is None):
            return
        waiting, self._waiting = self._waiting, None
        if waiting.called:  # Cancelled.
            return
        if self._packets:
            waiting.callback(self._packets.popleft())
        else:
            waiting.errback(self._failure)


class _CleaningUser:
    """A user that cleans the session.

    :ivar done: fires once it is clean.
    """

    def __init__(self, cleaning: Cleaning) -> None:
        self.done: Deferred[None] = Deferred()
        self._cleaning = cleaning

    def server_sent(self, data: bytes) -> None:
        """See :class:`ServerUser`."""
        if self.done.called:
            return
        try:
            is_clean = self._cleaning.receive(data)
        except NotClean:
            self.done.errback(Failure())
            return
        if is_clean:
            self.done.callback(None)

    def server_closed(self, reason: Failure) -> None:
        """See :class:`ServerUser`."""
        if not self.done.called:
            self.done.errback(reason)


class _Ending:
    """A user that waits for the end of the connection, whatever comes before.

    :ivar done: fires then.
    """

    def __init__(self) -> None:
        self.done: Deferred[None] = Deferred()

    def server_sent(self, data: bytes) -> None:
        """See :class:`ServerUser`."""

    def server_closed(self, reason: Failure) -> None:
        """See :class:`ServerUser`."""
        if not self.done.called:
            self.done.callback(None)
