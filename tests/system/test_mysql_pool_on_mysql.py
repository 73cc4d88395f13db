"""A pool of sessions at a real MySQL. Debian has none: the environment names its program."""

from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.support.real.mariadb import MySql, has_mysql
from tests.support.real.mysql_pool_test_case import MySqlPoolTestCase
from tests.system import test_mysql_pool, test_mysql_pool_commands, test_mysql_pool_faults

_SKIP = None if has_mysql() else "PHPGW_TEST_MYSQLD names no MySQL"
_CONNECT = "echo json_encode(error_of(fn () => pdo()));"


class LeftSessionTests(test_mysql_pool.LeftSessionTests):
    skip = _SKIP
    server_class = MySql
    more_setup = "SELECT 1"
    never_clean = frozenset(("role", "several results"))


class CommandTests(test_mysql_pool_commands.CommandTests):
    skip = _SKIP
    server_class = MySql


class OutageTests(test_mysql_pool_faults.OutageTests):
    skip = _SKIP
    server_class = MySql


class TlsTests(test_mysql_pool_faults.TlsTests):
    skip = _SKIP
    server_class = MySql


class PasswordTests(MySqlPoolTestCase):
    """The login ``caching_sha2_password``, while the server has the password in no cache."""

    skip = _SKIP
    server_class = MySql

    def start(self, **fields: object) -> None:
        server = self.start_server()
        self.start_pool(f"mysql://127.0.0.1:{server.port}", **fields)

    async def test_public_key(self) -> None:
        """The password is sent without TLS, for the server's own key."""
        self.start_server()
        key = self.server.directory / "data/public_key.pem"
        self.start_pool(f"mysql://127.0.0.1:{self.server.port}", public_key_file=key)
        self.assertEqual(0, (await self.php(_CONNECT))[0])

    async def test_other_key(self) -> None:
        """A key that is not the server's tells it nothing."""
        self.start_server()
        key = self.server.directory / "other.pem"
        public = generate_private_key(65537, 2048).public_key()
        key.write_bytes(public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
        self.start_pool(f"mysql://127.0.0.1:{self.server.port}", public_key_file=key)
        self.assertEqual(1045, (await self.php(_CONNECT))[0])

    async def test_readable(self) -> None:
        """Where others could read it, the password is not sent."""
        self.start()
        code, _, text = await self.php(_CONNECT)
        self.assertEqual(2002, code)
        self.assertIn("which is sent only over TLS", text)

    async def test_cached(self) -> None:
        """With the password in the server's cache, the short proof is enough."""
        self.start()
        # Its other user would be meant over the UNIX socket.
        self.server.run("DROP USER app@localhost")
        self.start_pool()
        self.assertEqual(0, (await self.php(_CONNECT))[0])
        self.start_pool(f"mysql://127.0.0.1:{self.server.port}")
        self.assertEqual(0, (await self.php(_CONNECT))[0])
