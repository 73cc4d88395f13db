"""A connection to a server of Redis or Valkey."""

from secrets import token_hex

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from phpgw.pools.lent_connection import LentConnection
from phpgw.pools.redis.cleaning import RedisCleaning
from phpgw.pools.redis.login import RedisLogin, RedisLoginRefused
from phpgw.pools.redis.replies import ExactReplies, ReplyLines, UnexpectedReply
from phpgw.transport.connect_errors import explain

# Seconds for the replies to a cleaning, which the server has at once if it is clean.
_CLEANING_SECONDS = 1.0


class ServerClosed(Exception):
    """The server has closed the connection, or it broke; the text says why."""


class RedisServerConnection(LentConnection):
    """A connection to the server.

    :ivar cleaning: how it can be cleaned; ``None`` if it can be used only once.
    """

    cleaning: RedisCleaning | None = None

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

    def _ask(self, requests: bytes, asked: "_Asked") -> None:
        def leave(outcome: object) -> object:
            if self._listener is asked:
                self.lend(None)
            return outcome

        asked.done.addBoth(leave)
        self.lend(asked)
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
        """See :class:`.ServerListener`."""
        try:
            is_complete = self._replies.feed(data)
        except UnexpectedReply as error:
            self.done.errback(error)
        else:
            if is_complete:
                self.done.callback(None)

    def server_closed(self, reason: Failure) -> None:
        """See :class:`.ServerListener`."""
        assert reason.value is not None
        self.done.errback(ServerClosed(explain(reason.value)))
