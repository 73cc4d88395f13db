"""The login at a server, as a client."""

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from twisted.trial.unittest import SynchronousTestCase

from phpgw.pools.mysql.capabilities import Capability
from phpgw.pools.mysql.greeting import GreetedWithError, Greeting
from phpgw.pools.mysql.handshake_response import HandshakeResponse
from phpgw.pools.mysql.packets import MalformedPacket, MySqlPacket, PacketDecoder
from phpgw.pools.mysql.passwords import caching_sha2_proof, native_proof
from phpgw.pools.mysql.responses import ErrAnswer
from phpgw.pools.mysql.server_login import Account, CannotLogIn, LoginRefused, ServerLogin
from phpgw.pools.mysql.session_key import SessionKey
from tests.unit.pools.mysql.test_greeting import MARIADB_10_11, MYSQL_9_7

_KEY = SessionKey(b"shop", Capability.MULTI_STATEMENTS | Capability.IGNORE_SPACE, 45)
_OK = b"\0\0\0\2\0\0\0"
_OTHER_NONCE = b"another nonce of 20 "


class ServerLoginTests(SynchronousTestCase):
    def login(
        self, *, is_private: bool = False, uses_tls: bool = False, account: Account | None = None
    ) -> ServerLogin:
        account = account or Account(b"web", b"secret")
        return ServerLogin(account, _KEY, uses_tls=uses_tls, is_private=is_private)

    def sent(self, data: bytes, sequence: int) -> bytes:
        """Return the payload of the one packet that was sent."""
        (packet,) = PacketDecoder().feed(data)
        self.assertEqual(sequence, packet.sequence)
        return packet.payload

    def test_native(self) -> None:
        login = self.login()
        sent = self.sent(login.receive(MySqlPacket(0, MARIADB_10_11)), 1)
        response = HandshakeResponse.parse(sent)
        nonce = Greeting.parse(MARIADB_10_11).nonce
        self.assertEqual((b"web", b"shop", 45), (response.user, response.database, 45))
        self.assertEqual(native_proof(b"secret", nonce), response.proof)
        self.assertEqual("mysql_native_password", response.plugin)
        self.assertEqual(b"", login.receive(MySqlPacket(2, _OK)))
        assert login.answer is not None
        self.assertEqual(2, login.answer.status)

    def test_capabilities(self) -> None:
        """The server gets PHP's own flags, as far as it has them, and those of the login."""
        greeting = MARIADB_10_11.replace(b"\xfe\xf7", b"\xfe\xf6")
        sent = self.sent(self.login().receive(MySqlPacket(0, greeting)), 1)
        self.assertEqual(
            Capability.MULTI_STATEMENTS
            | Capability.LONG_PASSWORD
            | Capability.CONNECT_WITH_DB
            | Capability.PROTOCOL_41
            | Capability.SECURE_CONNECTION
            | Capability.PLUGIN_AUTH,
            HandshakeResponse.parse(sent).capabilities,
        )

    def test_cached(self) -> None:
        """MySQL that has the password in its cache needs no more than the proof."""
        login = self.login()
        sent = self.sent(login.receive(MySqlPacket(0, MYSQL_9_7)), 1)
        nonce = Greeting.parse(MYSQL_9_7).nonce
        self.assertEqual(caching_sha2_proof(b"secret", nonce), HandshakeResponse.parse(sent).proof)
        self.assertEqual(b"", login.receive(MySqlPacket(2, b"\1\3")))
        login.receive(MySqlPacket(3, _OK))
        self.assertIsNotNone(login.answer)

    def test_password_in_private(self) -> None:
        login = self.login(is_private=True)
        login.receive(MySqlPacket(0, MYSQL_9_7))
        self.assertEqual(b"secret\0", self.sent(login.receive(MySqlPacket(2, b"\1\4")), 3))
        login.receive(MySqlPacket(4, _OK))
        self.assertIsNotNone(login.answer)

    def test_password_is_never_readable(self) -> None:
        """Where others may listen, or the server may be another, the password is not sent."""
        login = self.login()
        login.receive(MySqlPacket(0, MYSQL_9_7))
        with self.assertRaises(CannotLogIn) as caught:
            login.receive(MySqlPacket(2, b"\1\4"))
        self.assertNotIn("secret", str(caught.exception))

    def test_password_for_known_key(self) -> None:
        key = generate_private_key(65537, 2048)
        login = self.login(account=Account(b"web", b"secret", key.public_key()))
        login.receive(MySqlPacket(0, MYSQL_9_7))
        encrypted = self.sent(login.receive(MySqlPacket(2, b"\1\4")), 3)
        self.assertEqual(256, len(encrypted))
        masked = key.decrypt(encrypted, OAEP(MGF1(hashes.SHA1()), hashes.SHA1(), None))
        self.assertEqual(7, len(masked))

    def test_password_too_long_for_key(self) -> None:
        key = generate_private_key(65537, 2048)
        login = self.login(account=Account(b"web", b"x" * 300, key.public_key()))
        login.receive(MySqlPacket(0, MYSQL_9_7))
        with self.assertRaises(CannotLogIn):
            login.receive(MySqlPacket(2, b"\1\4"))

    def test_switch(self) -> None:
        """The account needs another way than the server's default, with a nonce of its own."""
        for greeting, plugin, proof in (
            (MYSQL_9_7, b"mysql_native_password", native_proof),
            (MARIADB_10_11, b"caching_sha2_password", caching_sha2_proof),
        ):
            login = self.login()
            login.receive(MySqlPacket(0, greeting))
            switch = b"\xfe" + plugin + b"\0" + _OTHER_NONCE + b"\0"
            sent = self.sent(login.receive(MySqlPacket(2, switch)), 3)
            self.assertEqual(proof(b"secret", _OTHER_NONCE), sent)
            login.receive(MySqlPacket(4, _OK))
            self.assertIsNotNone(login.answer)

    def test_switch_to_unknown(self) -> None:
        """A server cannot talk us into sending the password in clear, or by an old hash."""
        for switch in (b"\xfemysql_clear_password\0", b"\xfe", b"\xfedialog\0Password: "):
            login = self.login(is_private=True)
            login.receive(MySqlPacket(0, MARIADB_10_11))
            with self.assertRaises(CannotLogIn):
                login.receive(MySqlPacket(2, switch))

    def test_tls(self) -> None:
        """The login is sent after the request for TLS, and its number follows that."""
        login = self.login(uses_tls=True, is_private=True)
        request = self.sent(login.receive(MySqlPacket(0, MYSQL_9_7)), 1)
        self.assertEqual(32, len(request))
        self.assertIn(Capability.SSL, HandshakeResponse.parse(request).capabilities)
        response = HandshakeResponse.parse(self.sent(login.respond(), 2))
        self.assertEqual(b"web", response.user)
        self.assertIn(Capability.SSL, response.capabilities)

    def test_no_tls(self) -> None:
        """A server that has no TLS, or hides it, gets nothing."""
        login = self.login(uses_tls=True)
        with self.assertRaises(CannotLogIn):
            login.receive(MySqlPacket(0, MARIADB_10_11))

    def test_refused(self) -> None:
        login = self.login()
        with self.assertRaises(GreetedWithError):
            login.receive(MySqlPacket(0, b"\xff\x10\x04Too many connections"))
        login = self.login()
        login.receive(MySqlPacket(0, MARIADB_10_11))
        with self.assertRaises(LoginRefused) as caught:
            login.receive(MySqlPacket(2, ErrAnswer(1045, "28000", "Access denied").encode()))
        self.assertEqual("28000", caught.exception.error.state)

    def test_malformed(self) -> None:
        """Anything else ends the login with one exception."""
        switch = b"\xfemysql_native_password\0" + _OTHER_NONCE
        for greeting, payloads in (
            (MARIADB_10_11, [b""]),
            (MARIADB_10_11, [b"\1\4"]),
            (MARIADB_10_11, [b"\2"]),
            (MARIADB_10_11, [b"\0"]),
            (MARIADB_10_11, [b"\xfemysql_native_password\0short"]),
            (MARIADB_10_11, [switch, switch]),
            (MARIADB_10_11, [_OK, _OK]),
            (MYSQL_9_7, [b"\1"]),
            (MYSQL_9_7, [b"\1\5"]),
        ):
            login = self.login(is_private=True)
            login.receive(MySqlPacket(0, greeting))
            *first, last = payloads
            for payload in first:
                login.receive(MySqlPacket(2, payload))
            with self.assertRaises(MalformedPacket, msg=repr(payloads)):
                login.receive(MySqlPacket(2, last))

    def test_no_password_in_texts(self) -> None:
        self.assertNotIn("secret", repr(Account(b"web", b"secret")))
