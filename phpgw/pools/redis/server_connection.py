"""A connection to a server of Redis or Valkey."""

from collections.abc import Callable
from secrets import token_hex
from typing import Any, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import ITCPTransport
from twisted.internet.protocol import Protocol as TwistedProtocol
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure

from phpgw.pools.redis.cleaning import RedisCleaning
from phpgw.pools.redis.login import RedisLogin, RedisLoginRefused
from phpgw.pools.redis.replies import ExactReplies, ReplyLines, UnexpectedReply
from phpgw.transport.connect_errors import explain
from phpgw.transport.peek import is_quiet

# Seconds for the replies to a cleaning, which the server has at once if it is clean.
_CLEANING_SECONDS = 1.0
# Seconds for what was written last to arrive, before a connection is aborted.
_CLOSING_SECONDS = 2.0


class ServerClosed(Exception):
    """The server has closed the connection, or it broke; the text says why."""


class ServerListener(Protocol):
    """Is told of what happens on a connection to the server."""

    def server_sent(self, data: bytes) -> None:
        """Take what the server has sent."""
        ...

    def server_closed(self, reason: BaseException) -> None:
        """Note that the connection is closed."""
        ...


class RedisServerConnection(TwistedProtocol):
    """A connection to the server. It is idle, or one listener has it.

    :param lost_idle: called with this connection when it ends while it is idle.
    :ivar opened_at: see :class:`phpgw.pools.connector.ServerConnection`.
    :ivar cleaning: how it can be cleaned; ``None`` if it can be used only once.
    """

    transport: Any = None
    cleaning: RedisCleaning | None = None

    def __init__(
        self, reactor: Any, lost_idle: Callable[["RedisServerConnection"], object]
    ) -> None:
        self._reactor = reactor
        self._lost_idle = lost_idle
        self._listener: ServerListener | None = None
        self._is_closed = False
        self._abort: Any = None
        self.opened_at = reactor.seconds()

    def connectionMade(self) -> None:
        """Send requests at once, and have the system notice a server that is gone."""
        if ITCPTransport.providedBy(self.transport):
            self.transport.setTcpNoDelay(True)
            self.transport.setTcpKeepAlive(True)

    def is_alive(self) -> bool:
        """See :class:`phpgw.pools.connector.ServerConnection`."""
        return not self._is_closed and is_quiet(self.transport)

    def lend(self, listener: ServerListener | None) -> None:
        """Have what happens told to a listener, or to nobody when it is idle."""
        self._listener = listener

    def log_in(self, login: RedisLogin) -> Deferred[None]:
        """Log in.

        :returns: fails with :exc:`RedisLoginRefused`; if it is cancelled, the connection is closed.
        """
        nonce = token_hex().encode()
        lines = ReplyLines(login.count_replies())

        def judge(outcome: object) -> None:
            if isinstance(outcome, Failure):
                outcome.trap(UnexpectedReply, ServerClosed)
                if not lines.replies or outcome.check(UnexpectedReply):
                    raise RedisLoginRefused(str(outcome.value))
            # Before it closes the connection, the server may say why.
            self.cleaning = login.judge(lines.replies, nonce)

        def close(failure: Failure) -> Failure:
            self.close()
            return failure

        asked = _Asked(lines)
        self._ask(login.requests(nonce), asked)
        return asked.done.addBoth(judge).addErrback(close)

    def clean(self) -> Deferred[bool]:
        """Clean it, and fire with whether it is proven clean. It is idle then."""
        assert self.cleaning is not None
        requests, replies = self.cleaning.with_nonce(token_hex().encode())
        asked = _Asked(ExactReplies(replies))
        self._ask(requests, asked)
        asked.done.addTimeout(_CLEANING_SECONDS, self._reactor)
        return asked.done.addCallbacks(lambda _: True, lambda _: False)

    def close(self) -> None:
        """Send what waits to be sent, and close the connection."""
        self._listener = None
        if not self._is_closed:
            self._is_closed = True
            self._abort = self._reactor.callLater(_CLOSING_SECONDS, self.transport.abortConnection)
            self.transport.loseConnection()

    def dataReceived(self, data: bytes) -> None:
        """Hand on what the server has sent; an idle connection is closed if it sends anything."""
        if self._listener is not None:
            self._listener.server_sent(data)
        elif not self._is_closed:
            self._lost_idle(self)
            self.close()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Report the end."""
        was_open, self._is_closed = not self._is_closed, True
        if self._abort is not None and self._abort.active():
            self._abort.cancel()
        listener, self._listener = self._listener, None
        if listener is not None:
            assert reason.value is not None
            listener.server_closed(reason.value)
        elif was_open:
            self._lost_idle(self)

    def _ask(self, requests: bytes, asked: "_Asked") -> None:
        def leave(outcome: object) -> object:
            if self._listener is asked:
                self._listener = None
            return outcome

        asked.done.addBoth(leave)
        self._listener = asked
        self.transport.write(requests)


class _Asked:
    """A listener that waits for replies.

    :ivar done: fires once all have come. It fails with :exc:`UnexpectedReply`, or with
        :exc:`ServerClosed`.
    """

    def __init__(self, replies: ExactReplies | ReplyLines) -> None:
        self._replies = replies
        self.done: Deferred[None] = Deferred()

    def server_sent(self, data: bytes) -> None:
        """See :class:`ServerListener`."""
        try:
            is_complete = self._replies.feed(data)
        except UnexpectedReply as error:
            self.done.errback(error)
        else:
            if is_complete:
                self.done.callback(None)

    def server_closed(self, reason: BaseException) -> None:
        """See :class:`ServerListener`."""
        self.done.errback(ServerClosed(explain(reason)))
