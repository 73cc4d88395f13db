"""The login of PHP."""

from twisted.trial.unittest import SynchronousTestCase

from phpgw.pools.mysql.packets import MalformedPacket, MySqlPacket
from phpgw.pools.mysql.php_login import PhpLoginRefused, read_php_login
from tests.unit.pools.mysql.test_handshake_response import PDO_LOGIN


class PhpLoginTests(SynchronousTestCase):
    def test_accepted(self) -> None:
        self.assertEqual(b"shop", read_php_login(MySqlPacket(1, PDO_LOGIN)).database)

    def test_compression(self) -> None:
        """mysqlnd compresses though nobody has offered it: it gets an error that it can read."""
        self._assert_refused(0x20, "has no compression")

    def test_tls(self) -> None:
        self._assert_refused(0x800, "has no TLS here")

    def test_malformed(self) -> None:
        for packet in (MySqlPacket(0, PDO_LOGIN), MySqlPacket(1, b"")):
            with self.assertRaises(MalformedPacket):
                read_php_login(packet)

    def _assert_refused(self, flag: int, text: str) -> None:
        capabilities = int.from_bytes(PDO_LOGIN[:4], "little") | flag
        login = capabilities.to_bytes(4, "little") + PDO_LOGIN[4:]
        with self.assertRaises(PhpLoginRefused) as caught:
            read_php_login(MySqlPacket(1, login))
        error = caught.exception.error
        self.assertEqual((1043, "08S01"), (error.code, error.state))
        self.assertIn(text, error.message)
