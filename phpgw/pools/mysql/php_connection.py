"""A connection of PHP to a pool of MySQL or MariaDB."""

from secrets import token_bytes
from typing import Any, Protocol

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure

from phpgw.deadlines import Deadlines
from phpgw.log_limit import line_limit
from phpgw.pools.errors import PoolError
from phpgw.pools.figures import CloseReason
from phpgw.pools.front import PhpConnection
from phpgw.pools.mysql.commands import CommandReader
from phpgw.pools.mysql.greeting import NONCE_SIZE, Greeting
from phpgw.pools.mysql.handshake_response import HandshakeResponse
from phpgw.pools.mysql.packets import MalformedPacket, PacketDecoder, encode_packet
from phpgw.pools.mysql.php_errors import NO_CHANGE_OF_USER, STOPPING, answer_for
from phpgw.pools.mysql.php_login import PhpLoginRefused, read_php_login
from phpgw.pools.mysql.responses import ErrAnswer, OkAnswer
from phpgw.pools.mysql.server_connection import MySqlConnection
from phpgw.pools.splice import Splice
from phpgw.transport.write_now import write_now

# The number that PHP is told for its connection: of no connection, for whoever kills by it. The
# right one is known only after the login.
_CONNECTION_ID = 0
# How often PHP may try to change the user. Servers themselves allow three failures. Who sends such
# commands and does not read the answers would fill the memory with them.
_MAX_CHANGES_OF_USER = 100
# The numbers of packets in the exchange of a login.
_GREETING, _VERDICT = 0, 2


class Sessions(Protocol):
    """The sessions at the server, as PHP's connections get them."""

    def greeting(self) -> Deferred[Greeting]:
        """Fire with the server's greeting; fail with a :exc:`.PoolError`."""
        ...

    def take(self, response: HandshakeResponse) -> Deferred[MySqlConnection]:
        """Take a session for this login of PHP; fail with a :exc:`.PoolError`."""
        ...

    def end(self, server: MySqlConnection, commands: CommandReader, *, has_quit: bool) -> None:
        """Give a session back, whose user has sent these commands, and has quit or vanished."""
        ...

    def discard(self, server: MySqlConnection, reason: CloseReason) -> None:
        """Close a session."""
        ...


class MySqlPhpConnection(PhpConnection):
    """A connection of PHP: greeting, login, and then a session at the server until its end.

    :param logins: the timeouts of logins.
    """

    log = Logger(observer=line_limit)

    def __init__(self, sessions: Sessions, logins: Deadlines["MySqlPhpConnection"]) -> None:
        self._sessions = sessions
        self._logins = logins
        self._decoder = PacketDecoder()
        self._commands = CommandReader()
        self._changes_of_user = 0
        # What PHP waits for: the greeting, and a session.
        self._waiting: Deferred[Any] | None = None
        # The number of the next packet of the login; None after it, and after a refusal.
        self._sequence: int | None = _GREETING
        self._server: MySqlConnection | None = None
        self._splice: Splice | None = None

    def connectionMade(self) -> None:
        """Greet PHP."""
        super().connectionMade()
        self._logins.start(self)
        self._wait(self._sessions.greeting(), self._greet)

    def dataReceived(self, data: bytes) -> None:
        """Pass on commands, or read the login."""
        try:
            if self._splice is not None:
                self._pass_on(self._splice, data)
            elif self._sequence is not None:
                self._log_in(data)
            # Else it is over, and what comes is read by nobody.
        except PhpLoginRefused as refusal:
            self._refuse(refusal.error)
        except MalformedPacket as error:
            self.log.warn("PHP does not speak MySQL's protocol: {error}", error=str(error))
            self.transport.abortConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Give the session back."""
        super().connectionLost(reason)
        self._logins.stop(self)
        if self._waiting is not None:
            self._waiting.cancel()
        self._end(has_quit=False)

    def expire(self) -> None:
        """Close it: PHP does not log in."""
        self.transport.abortConnection()

    def stop(self) -> None:
        """See :meth:`phpgw.pools.front.PhpConnection.stop`."""
        if self._sequence is not None:
            self._refuse(STOPPING)
            return
        if self._commands.awaits_answer and self._commands.is_between_commands:
            self.transport.write(encode_packet(STOPPING.encode(), 1))
        server = self._part()
        if server is not None:
            self._sessions.discard(server, "stop")
        self.transport.loseConnection()

    def server_sent(self, data: bytes) -> None:
        """Pass on what the server has sent."""
        if self._splice is not None:
            self._commands.answered()
            self._splice.server_sent(data)

    def server_closed(self, reason: Failure) -> None:
        """Close PHP's connection, too. PHP says then that the server has gone away (2006)."""
        server = self._part()
        if server is not None:
            self._sessions.discard(server, "lost")
        self.transport.loseConnection()

    def _wait(self, waiting: Deferred[Any], use: Any) -> None:
        """Use what PHP waits for, or refuse it."""
        self._waiting = waiting

        def done(outcome: Any) -> Any:
            self._waiting = None
            return outcome

        waiting.addBoth(done)
        waiting.addCallbacks(use, self._give_up)
        waiting.addErrback(self._fail)

    def _greet(self, greeting: Greeting) -> None:
        # No byte is 0, which would end the nonce.
        nonce = bytes(byte % 127 + 1 for byte in token_bytes(NONCE_SIZE))
        payload = greeting.for_php(_CONNECTION_ID, nonce).encode()
        write_now(self.transport, encode_packet(payload, _GREETING))
        self._sequence = _VERDICT

    def _log_in(self, data: bytes) -> None:
        packets = [*self._decoder.feed(data)]
        if self._sequence != _VERDICT or self._waiting is not None:
            raise MalformedPacket("something before it was asked for")
        if not packets:
            return
        if len(packets) > 1 or len(self._decoder):
            raise MalformedPacket("something behind the login")
        response = read_php_login(packets[0])
        self._logins.stop(self)
        self._wait(self._sessions.take(response), self._begin)

    def _begin(self, server: MySqlConnection) -> None:
        """Tell PHP that it is logged in, and join it with its session."""
        assert server.session is not None
        self._server = server
        self._sequence = None
        self._splice = Splice(self.transport, server.transport)
        server.lend(self)
        answer = OkAnswer(0, 0, server.session.status, 0)
        self._splice.server_sent(encode_packet(answer.encode(), _VERDICT))

    def _pass_on(self, splice: Splice, data: bytes) -> None:
        commands = self._commands
        forwarded = commands.receive(data)
        if forwarded:
            splice.php_sent(forwarded)
        if commands.refused:
            if commands.awaits_answer:
                raise MalformedPacket("a change of the user before the last answer")
            self._changes_of_user += commands.refused
            if self._changes_of_user > _MAX_CHANGES_OF_USER:
                raise MalformedPacket("too many changes of the user")
            self.transport.write(encode_packet(NO_CHANGE_OF_USER.encode(), 1) * commands.refused)
            commands.refused = 0
        if commands.has_quit:
            if not commands.is_between_commands:
                raise MalformedPacket("something behind the end")
            self._end(has_quit=True)
            self.transport.loseConnection()

    def _give_up(self, failure: Failure) -> None:
        failure.trap(PoolError, CancelledError)
        if not failure.check(CancelledError):
            assert failure.value is not None
            self._refuse(answer_for(failure.value))

    def _fail(self, failure: Failure) -> None:
        self.log.failure("A session of PHP could not begin", failure)
        self.transport.abortConnection()

    def _refuse(self, error: ErrAnswer) -> None:
        """End the login with an error."""
        is_greeted = self._sequence != _GREETING
        payload = error.encode() if is_greeted else error.encode_for_greeting()
        self.transport.write(encode_packet(payload, self._sequence or 0))
        self._sequence = None
        self.transport.loseConnection()

    def _end(self, *, has_quit: bool) -> None:
        server = self._part()
        if server is not None:
            self._sessions.end(server, self._commands, has_quit=has_quit)

    def _part(self) -> MySqlConnection | None:
        """Part PHP from its session, and return that; ``None`` if there is none."""
        server, self._server = self._server, None
        splice, self._splice = self._splice, None
        if server is not None:
            server.lend(None)
        if splice is not None:
            splice.end()
        return server
