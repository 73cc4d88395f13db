"""The login at a server."""

from collections.abc import Callable

import attrs
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from phpgw.pools.mysql.capabilities import ALWAYS, Capability
from phpgw.pools.mysql.greeting import NATIVE, NONCE_SIZE, Greeting
from phpgw.pools.mysql.handshake_response import HandshakeResponse
from phpgw.pools.mysql.packets import MalformedPacket, MySqlPacket, PayloadReader
from phpgw.pools.mysql.passwords import caching_sha2_proof, encrypt_password, native_proof
from phpgw.pools.mysql.responses import EOF, ERR, OK, ErrAnswer, OkAnswer
from phpgw.pools.mysql.session_key import SessionKey

CACHING_SHA2 = "caching_sha2_password"

_PROOFS: dict[str, Callable[[bytes, bytes], bytes]] = {
    NATIVE: native_proof,
    CACHING_SHA2: caching_sha2_proof,
}

# A packet of a login that is not over, and what it says for caching_sha2_password.
_MORE_DATA = 0x01
_PROOF_IS_ENOUGH = b"\x03"
_PASSWORD_IS_NEEDED = b"\x04"


class CannotLogIn(Exception):
    """There is no safe way to log in that both sides know. The text says why."""


class LoginRefused(Exception):
    """The server refuses the login.

    :ivar error: its error.
    """

    def __init__(self, error: ErrAnswer) -> None:
        super().__init__(f"{error.message} ({error.code})")
        self.error = error


@attrs.frozen
class Account:
    """The account that logs in.

    :ivar password: empty for none. It is never part of a text.
    :ivar public_key: the server's RSA key, if it is known beforehand.
    """

    user: bytes
    password: bytes = attrs.field(repr=False)
    public_key: RSAPublicKey | None = None


class ServerLogin:
    """A login as a client, from the greeting to OK. It has no connection: bytes come and go.

    :param uses_tls: whether TLS begins between the greeting and the login.
    :param is_private: whether nobody but the server can read what is sent: with TLS whose
        certificate is checked, or on a UNIX socket.
    :ivar database: the one that the session begins with; empty for none.
    :ivar greeting: the server's, once it is there.
    :ivar answer: the server's OK, once the login is done.
    """

    def __init__(
        self, account: Account, key: SessionKey, *, uses_tls: bool, is_private: bool
    ) -> None:
        self.database = key.database
        self.greeting: Greeting | None = None
        self.answer: OkAnswer | None = None
        self._account = account
        self._key = key
        self._uses_tls = uses_tls
        self._is_private = is_private
        self._greeted: MySqlPacket | None = None
        self._nonce = b""
        self._plugin = ""
        self._has_switched = False

    def receive(self, packet: MySqlPacket) -> bytes:
        """Take a packet of the server, and return what is to be sent. It may be nothing.

        The return value for the greeting with TLS is the request for TLS. Once TLS is there,
        :meth:`respond` follows.

        :raises GreetedWithError: if the server wants no connection.
        :raises LoginRefused: if it refuses the login.
        :raises CannotLogIn: if there is no safe way.
        :raises MalformedPacket: if it does not speak MySQL's protocol.
        """
        if self.greeting is not None:
            return self._receive_verdict(packet)
        self.greeting = Greeting.parse(packet.payload)
        self._greeted = packet
        if not self._uses_tls:
            return self.respond()
        if not self.greeting.capabilities & Capability.SSL:
            raise CannotLogIn("the server offers no TLS")
        response = self._response(self.greeting)
        self._greeted = MySqlPacket(packet.sequence + 1, packet.payload)
        return packet.reply(response.encode_ssl_request())

    def respond(self) -> bytes:
        """Return the answer to the greeting."""
        assert self._greeted is not None
        assert self.greeting is not None
        return self._greeted.reply(self._response(self.greeting).encode())

    def _response(self, greeting: Greeting) -> HandshakeResponse:
        self._nonce = greeting.nonce
        self._plugin = greeting.plugin if greeting.plugin in _PROOFS else NATIVE
        capabilities = (self._key.capabilities & greeting.capabilities) | ALWAYS
        if self._key.database:
            capabilities |= Capability.CONNECT_WITH_DB
        if self._uses_tls:
            capabilities |= Capability.SSL
        return HandshakeResponse(
            capabilities,
            self._key.collation,
            self._account.user,
            self._proof(),
            self._key.database,
            self._plugin,
        )

    def _proof(self) -> bytes:
        return _PROOFS[self._plugin](self._account.password, self._nonce)

    def _receive_verdict(self, packet: MySqlPacket) -> bytes:
        kind = packet.payload[0] if packet.payload else -1
        if self.answer is not None:
            raise MalformedPacket("a packet behind the login")
        if kind == OK:
            self.answer = OkAnswer.parse(packet.payload)
            return b""
        if kind == ERR:
            raise LoginRefused(ErrAnswer.parse(packet.payload))
        if kind == EOF and not self._has_switched:
            self._switch(packet.payload)
            return packet.reply(self._proof())
        if kind == _MORE_DATA and self._plugin == CACHING_SHA2:
            return self._continue(packet)
        raise MalformedPacket(f"a packet of the type {kind} during the login")

    def _switch(self, payload: bytes) -> None:
        """Log in in the way that the account needs, which the server knows only now."""
        self._has_switched = True
        reader = PayloadReader(payload)
        reader.take(1)
        plugin = reader.terminated().decode("ascii", "replace") if reader.left else "an old hash"
        if plugin not in _PROOFS:
            raise CannotLogIn(f"the account needs a login by {plugin[:64]!r}, which is not known")
        self._plugin, self._nonce = plugin, reader.take(NONCE_SIZE)

    def _continue(self, packet: MySqlPacket) -> bytes:
        if packet.payload[1:] == _PROOF_IS_ENOUGH:
            return b""
        if packet.payload[1:] != _PASSWORD_IS_NEEDED:
            raise MalformedPacket("a login that goes on in an unknown way")
        if self._is_private:
            return packet.reply(self._account.password + b"\0")
        if self._account.public_key is None:
            raise CannotLogIn(
                "the server needs the password itself, which is sent only over TLS (tls=on), over "
                "a UNIX socket, or for the server's RSA key (public-key-file)"
            )
        try:
            encrypted = encrypt_password(
                self._account.password, self._nonce, self._account.public_key
            )
        except ValueError as error:
            raise CannotLogIn("the password is too long for the server's RSA key") from error
        return packet.reply(encrypted)
