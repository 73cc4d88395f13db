"""The greetings of real servers, and ours."""

from twisted.trial.unittest import SynchronousTestCase

from phpgw.pools.mysql.capabilities import OFFERED, Capability
from phpgw.pools.mysql.greeting import GreetedWithError, Greeting
from phpgw.pools.mysql.packets import MalformedPacket

MARIADB_10_11 = (
    b"\n5.5.5-10.11.19-MariaDB-0+deb12u1\x00\x05\x00\x00\x00tS~F}fhV\x00\xfe\xf7\x08\x02\x00"
    b"\xff\x81\x15\x00\x00\x00\x00\x00\x00\x1d\x00\x00\x00W36T'b;@m(xI\x00mysql_native_password\x00"
)
MYSQL_9_7 = (
    b"\n9.7.4-2\x00\n\x00\x00\x00i!\x11F\x7f\x01\x0c\x15\x00\xff\xff\xff\x02\x00\xff\xdf\x15\x00"
    b"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x16\x18&23@ut-\x0f5\x00caching_sha2_password\x00"
)


class GreetingTests(SynchronousTestCase):
    def test_mariadb(self) -> None:
        greeting = Greeting.parse(MARIADB_10_11)
        self.assertEqual(b"5.5.5-10.11.19-MariaDB-0+deb12u1", greeting.version)
        self.assertEqual(5, greeting.connection_id)
        self.assertEqual(b"tS~F}fhVW36T'b;@m(xI", greeting.nonce)
        self.assertEqual((8, 2, "mysql_native_password"), _rest(greeting))

    def test_mysql(self) -> None:
        greeting = Greeting.parse(MYSQL_9_7)
        self.assertEqual((255, 2, "caching_sha2_password"), _rest(greeting))
        self.assertIn(Capability.SSL, greeting.capabilities)

    def test_encode(self) -> None:
        greeting = Greeting.parse(MYSQL_9_7)
        self.assertEqual(greeting, Greeting.parse(greeting.encode()))

    def test_for_php(self) -> None:
        """PHP sees the same server, and is offered what can be passed on, by an easy login."""
        greeting = Greeting.parse(MYSQL_9_7).for_php(77, bytes(range(1, 21)))
        again = Greeting.parse(greeting.encode())
        self.assertEqual(b"9.7.4-2", again.version)
        self.assertEqual(77, again.connection_id)
        self.assertEqual(bytes(range(1, 21)), again.nonce)
        self.assertEqual(OFFERED, again.capabilities)
        self.assertEqual((255, 2, "mysql_native_password"), _rest(again))

    def test_not_offered(self) -> None:
        """What the server has not, PHP is not offered, either."""
        greeting = Greeting.parse(MARIADB_10_11).for_php(1, bytes(20))
        self.assertNotIn(Capability.LONG_PASSWORD, greeting.capabilities)
        for never in (Capability.SSL, Capability.COMPRESS, Capability.LOCAL_FILES):
            self.assertNotIn(never, greeting.capabilities)

    def test_refused(self) -> None:
        """A server that is full greets with an error."""
        with self.assertRaises(GreetedWithError) as caught:
            Greeting.parse(b"\xff\x10\x04Too many connections")
        self.assertEqual(1040, caught.exception.error.code)

    def test_malformed(self) -> None:
        """Greetings that are cut off, of another version, or of an ancient server."""
        cuts = [MARIADB_10_11[:end] for end in range(len(MARIADB_10_11) - 24)]
        old = MARIADB_10_11.replace(b"\xff\x81", b"\0\0")
        for payload in (*cuts, b"\x09" + MARIADB_10_11[1:], old):
            with self.assertRaises(MalformedPacket, msg=repr(payload)):
                Greeting.parse(payload)


def _rest(greeting: Greeting) -> tuple[int, int, str]:
    return greeting.collation, greeting.status, greeting.plugin
