"""A connection to the server: a session that PHP requests use one after another."""

from collections import deque
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.python.failure import Failure

from phpgw.pools.lent_connection import LentConnection
from phpgw.pools.mysql.cleaning import Cleaning, NewSession, NewSessionQuery, NotClean
from phpgw.pools.mysql.commands import QUIT, encode_command
from phpgw.pools.mysql.packets import MalformedPacket, MySqlPacket, PacketDecoder
from phpgw.pools.mysql.server_login import ServerLogin
from phpgw.transport.write_now import write_now

# Seconds for the answers to a cleaning. The server has to roll back a transaction before.
_CLEANING_SECONDS = 10.0


class MySqlConnection(LentConnection):
    """A session at the server.

    :ivar connection_id: the server's number for it.
    :ivar session: the session as it was when it was new; ``None`` until it is known.
    """

    def __init__(self, reactor: Any, lost_idle: Callable[[Any], object]) -> None:
        super().__init__(reactor, lost_idle)
        self.connection_id = 0
        self.session: NewSession | None = None
        self._last_cleaning: Cleaning | None = None
        # It listens until the connection has logged in.
        self._login_packets = _Packets()
        self.lend(self._login_packets)

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

    def clean(self) -> Deferred[None]:
        """Clean the session, which is idle then.

        :returns: fails with :exc:`.NotClean`, or another exception.
        """
        assert self.session is not None
        if self._is_closed:
            return fail(NotClean("it is closed"))
        cleaning = Cleaning(self.session, self._last_cleaning)
        listener = _CleaningListener(cleaning)
        self.lend(listener)
        write_now(self.transport, cleaning.request)

        def leave(outcome: Any) -> Any:
            if self._listener is listener:
                self.lend(None)
            return outcome

        def remember(_: None) -> None:
            self._last_cleaning = cleaning

        listener.done.addTimeout(_CLEANING_SECONDS, self._reactor)
        return listener.done.addBoth(leave).addCallback(remember)

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


class _Packets:
    """A listener that reads packets, one after another."""

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
        """See :class:`.ServerListener`."""
        try:
            self._packets.extend(self._decoder.feed(data))
        except MalformedPacket:
            self._failure = Failure()
        self._go_on()

    def server_closed(self, reason: Failure) -> None:
        """See :class:`.ServerListener`."""
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


class _CleaningListener:
    """A listener that cleans the session.

    :ivar done: fires once it is clean.
    """

    def __init__(self, cleaning: Cleaning) -> None:
        self.done: Deferred[None] = Deferred()
        self._cleaning = cleaning

    def server_sent(self, data: bytes) -> None:
        """See :class:`.ServerListener`."""
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
        """See :class:`.ServerListener`."""
        if not self.done.called:
            self.done.errback(reason)


class _Ending:
    """A listener that waits for the end of the connection, whatever comes before.

    :ivar done: fires then.
    """

    def __init__(self) -> None:
        self.done: Deferred[None] = Deferred()

    def server_sent(self, data: bytes) -> None:
        """See :class:`.ServerListener`."""

    def server_closed(self, reason: Failure) -> None:
        """See :class:`.ServerListener`."""
        if not self.done.called:
            self.done.callback(None)
