"""Tests for :mod:`phpgw.settings.pool_text` and :mod:`phpgw.settings.pool_config`."""

import os
import tomllib
from grp import getgrgid
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from phpgw.settings.host_and_port import HostAndPort
from phpgw.settings.option import InvalidOption
from phpgw.settings.pool_config import KINDS, PoolServer, pool_fields
from phpgw.settings.pool_text import parse_pool, pool_text


class ParseTests(SynchronousTestCase):
    def test_servers(self) -> None:
        """A URL says what is spoken, where the server is, and whether with TLS."""
        for text, expected in (
            ("db=mysql://h", ("mysql", "h:3306", "", "", False)),
            ("db=mysql+unix:///run/m%20y.sock", ("mysql", None, "/run/m y.sock", "", False)),
            ("db=postgres://[::1]:99/shop", ("postgres", "[::1]:99", "", "/shop", False)),
            ("db=redis://h:1/", ("redis", "h:1", "", "", False)),
            ("db=rediss://h", ("redis", "h:6379", "", "", True)),
            ("db=https://h/v1", ("http", "h:443", "", "/v1", True)),
            ("db=http://h", ("http", "h:80", "", "", False)),
            ("db=tcp://h:25", ("tcp", "h:25", "", "", False)),
            ("db=tls://h:636", ("tcp", "h:636", "", "", True)),
            ("db=tcp+unix:///s", ("tcp", None, "/s", "", False)),
        ):
            server = parse_pool(text).server
            place = None if server.place is None else str(server.place)
            found = (server.kind, place, server.socket, server.path, server.uses_tls)
            self.assertEqual(expected, found, text)

    def test_defaults(self) -> None:
        pool = parse_pool("db=mysql://h")
        self.assertEqual((8, 300, None, 1800), (pool.size, pool.idle, pool.wait, pool.age))
        self.assertEqual(
            (0o660, None, None, None), (pool.mode, pool.group, pool.socket, pool.listen)
        )
        self.assertEqual(
            ("", None, "", False), (pool.user, pool.password_file, pool.database, pool.tls)
        )

    def test_fields(self) -> None:
        file = self.mktemp()
        Path(file).touch()
        group = getgrgid(os.getgid()).gr_name
        pool = parse_pool(
            f"main.db-1 = mysql://a%40b@h/shop?size=16&idle=10s&wait=500ms&age=1h&mode=0600&"
            f"socket=/run/a%26b.sock&group={group}&password-file={file}&tls=on&ca_file={file}"
        )
        self.assertEqual("main.db-1", pool.name)
        self.assertEqual((16, 10, 0.5, 3600), (pool.size, pool.idle, pool.wait, pool.age))
        self.assertEqual((0o600, group), (pool.mode, pool.group))
        self.assertEqual("/run/a&b.sock", pool.socket)
        self.assertEqual(
            ("a@b", Path(file), "shop"), (pool.user, pool.password_file, pool.database)
        )
        self.assertTrue(pool.uses_tls)
        self.assertEqual(Path(file), pool.ca_file)

    def test_database(self) -> None:
        """Databases have names, and those of Redis numbers."""
        for text, expected in (
            ("db=mysql://h/shop", "shop"),
            ("db=postgres://h?database=shop", "shop"),
            ("db=redis://h/3", "3"),
            ("db=redis://h/", ""),
            ("db=redis+unix:///s?database=0", "0"),
        ):
            self.assertEqual(expected, parse_pool(text).database, text)

    def test_ports(self) -> None:
        for text in ("127.0.0.1:3307", "[::1]:3307", "localhost:3307"):
            listen = parse_pool(f"db=tcp://h:1?listen={text}").listen
            assert listen is not None
            self.assertEqual(3307, listen.port, text)
            self.assertIn(listen.host, ("127.0.0.1", "::1"))

    def test_refused(self) -> None:
        """Each error names the pool and the part, and what would be right."""
        for text, *hints in (
            ("mysql://h", "NAME=URL"),
            ("a/b=mysql://h", "NAME=URL"),
            (".hidden=mysql://h", "NAME=URL"),
            ("db=oracle://h", "db", "mysql"),
            ("db=h:3306", "db", "mysql://"),
            ("db=mysql://h#x", "db", "a URL"),
            ("db=mysql://[h", "db", "a URL"),
            ("db=mysql://", "db", "mysql://HOST:3306"),
            ("db=mysql://h:0", "db", "mysql://HOST:3306"),
            ("db=mysql://h:99999", "db", "mysql://HOST:3306"),
            ("db=mysql://a,b", "db", "mysql://HOST:3306"),
            ("db=tcp://h", "db", "tcp://HOST:PORT"),
            ("db=redis://h/shop", "db", "number of a database"),
            ("db=redis://h/01", "db", "number of a database"),
            ("db=redis+unix:///s?database=-1", "db", "number of a database"),
            ("db=tcp://h:1/2", "db", "nothing behind"),
            ("db=mysql+unix://h/s", "db", "path of a socket"),
            ("db=mysql+unix:///", "db", "path of a socket"),
            ("db=mysql://h?size=0", "db", "size", "above 0", "'0'"),
            ("db=mysql://h?size=10001", "size", "10000"),
            ("db=mysql://h?idle=0", "idle", "more than 0"),
            ("db=mysql://h?sice=8", "db", "'sice'", "size"),
            ("db=mysql://h?size", "'size'", "size=8"),
            ("db=mysql://h?size=8&size=9", "size once"),
            ("db=mysql://h?mode=0999", "mode", "0660"),
            ("db=mysql://h?mode=07777", "mode", "0660"),
            ("db=mysql://h?group=no-such-group", "group", "of this system"),
            ("db=mysql://h?listen=0.0.0.0:3307", "listen", "127.0.0.1:3307"),
            ("db=mysql://h?listen=3307", "listen", "127.0.0.1:3307"),
            ("db=mysql://h?listen=127.0.0.1:1&socket=/s", "socket= or listen="),
            ("db=mysql://h?listen=127.0.0.1:1&mode=0600", "mode"),
            ("db=mysql://h?password-file=/no/file", "password-file", "exists"),
            ("db=mysql://a@h?user=b", "one user"),
            ("db=mysql://h/a?database=b", "one database"),
            ("db=tcp://h:1?user=a", "no user", "tcp://"),
            ("db=redis://h?tls=on", "no tls", "redis://"),
            ("db=mysql+unix:///s?tls=on", "tls=on"),
            ("db=mysql://h?ca-file=/etc/passwd", "ca-file", "tls=on"),
            ("db=mysql://h?socket=%00", "socket", "a path"),
            ("db=mysql://h?" + "&" * 5000, "NAME=URL"),
        ):
            error = str(self.assertRaises(ValueError, parse_pool, text))
            for hint in hints:
                self.assertIn(hint, error, text)

    def test_password(self) -> None:
        """An error does not repeat a password."""
        error = self.assertRaises(InvalidOption, parse_pool, "db=mysql://app:s3cret@h")
        self.assertNotIn("s3cret", str(error))
        self.assertIn("--pool: got 'db'", str(error))
        self.assertIn("password-file", str(error))

    def test_as_text(self) -> None:
        """A pool is shown by its name and its server."""
        for text in ("db=mysql://h:1/shop", "db=redis+unix:///s", "db=tls://[::1]:1"):
            self.assertEqual(text, str(parse_pool(text)))
        self.assertEqual("db=mysql://h:3306", str(parse_pool("db=mysql://app@h?size=9")))


class TableTests(SynchronousTestCase):
    def parse(self, lines: str) -> object:
        return parse_pool(pool_text("db", tomllib.loads(lines)))

    def test_table(self) -> None:
        """A table says the same as a text."""
        self.assertEqual(
            parse_pool("db=mysql://app@h?size=16&idle=10m&tls=on&socket=/run/a%20b"),
            self.parse(
                'url = "mysql://h"\nuser = "app"\nsize = 16\nidle = "10m"\ntls = true\n'
                'socket = "/run/a b"'
            ),
        )
        self.assertEqual(parse_pool("db=mysql://h"), self.parse('url = "mysql://h"'))
        self.assertEqual(
            parse_pool("db=mysql://h?size=3&age=1.5"),
            self.parse('url = "mysql://h?size=3"\nage = 1.5'),
        )

    def test_strange_values(self) -> None:
        """No value becomes another field."""
        error = self.assertRaises(ValueError, self.parse, 'url = "mysql://h"\nidle = "5m&size=9"')
        self.assertIn("idle", str(error))

    def test_refused(self) -> None:
        for lines, hint in (
            ("size = 8", "url ="),
            ("url = 8", "url ="),
            ('url = "mysql://h"\nsize = [8]', "size"),
            ('url = "mysql://h"\nsize = 8\nca_file = "a"\nca-file = "b"', "each field once"),
            ('url = "mysql://h?size=8"\nsize = 8', "size once"),
            ('url = "mysql://h"\nsice = 8', "sice"),
        ):
            self.assertIn(hint, str(self.assertRaises(ValueError, self.parse, lines)), lines)


class FieldTests(SynchronousTestCase):
    def test_declared(self) -> None:
        """Each field is for some kinds, and known by its name with dashes."""
        fields = {field.name: field for field in pool_fields()}
        self.assertIn("password-file", fields)
        for field in fields.values():
            self.assertTrue(field.kinds <= {*KINDS}, field.name)

    def test_server(self) -> None:
        server = PoolServer(kind="tcp", scheme="tcp", place=HostAndPort("::1", 2))
        self.assertEqual("tcp://[::1]:2", str(server))
