"""The logins of real clients, and ours."""

from twisted.trial.unittest import SynchronousTestCase

from phpgw.pools.mysql.capabilities import Capability
from phpgw.pools.mysql.handshake_response import HandshakeResponse
from phpgw.pools.mysql.packets import MalformedPacket

# PDO of PHP 8.2: the database is shop, the character set utf8mb4, and there are attributes.
PDO_LOGIN = (
    b"\x8d\xa2\x1b\x00\x00\x00\x00\xc0\x2d"
    + bytes(23)
    + b"web\0\x14"
    + bytes(range(20))
    + b"shop\0mysql_native_password\0\x16\x0c_client_name\x08mysqlnd_"
)


class HandshakeResponseTests(SynchronousTestCase):
    def test_pdo(self) -> None:
        response = HandshakeResponse.parse(PDO_LOGIN)
        self.assertEqual(0x1BA28D, response.capabilities)
        self.assertEqual(45, response.collation)
        self.assertEqual((b"web", b"shop"), (response.user, response.database))
        self.assertEqual(bytes(range(20)), response.proof)
        self.assertEqual("mysql_native_password", response.plugin)

    def test_encode(self) -> None:
        response = HandshakeResponse(
            Capability(0x0BA28D), 45, b"u", b"proof", b"shop", "caching_sha2_password"
        )
        self.assertEqual(response, HandshakeResponse.parse(response.encode()))
        request = response.encode_ssl_request()
        self.assertEqual(32, len(request))
        self.assertEqual(request, response.encode()[:32])

    def test_without_database(self) -> None:
        response = HandshakeResponse(Capability(0x0AA285), 8, b"u", b"", b"", "x")
        self.assertEqual(response, HandshakeResponse.parse(response.encode()))

    def test_tls(self) -> None:
        """A request for TLS ends where a login goes on."""
        capabilities = Capability(0x0BAA8D)
        response = HandshakeResponse(capabilities, 45, b"", b"", b"", "")
        self.assertEqual(response, HandshakeResponse.parse(response.encode_ssl_request()))

    def test_other_lengths_of_proofs(self) -> None:
        head = b"\0\0\0\x40\x08" + bytes(23)
        for flags, proof in ((0x200200, b"\x03abc"), (0x8200, b"\x03abc"), (0x0200, b"abc\0")):
            response = HandshakeResponse.parse(flags.to_bytes(4, "little") + head + b"u\0" + proof)
            self.assertEqual(b"abc", response.proof)

    def test_malformed(self) -> None:
        """A login that is cut off before its proof is complete, or of an ancient client."""
        for end in range(len(PDO_LOGIN[:57])):
            with self.assertRaises(MalformedPacket, msg=str(end)):
                HandshakeResponse.parse(PDO_LOGIN[:end])
        with self.assertRaises(MalformedPacket):
            HandshakeResponse.parse(b"\x85\xa0" + PDO_LOGIN[2:])
