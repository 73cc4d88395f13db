"""What users may write as the value of an option."""

from collections.abc import Callable, Iterable
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from phpgw import values


class ValueTestCase(SynchronousTestCase):
    def assert_refused(
        self, parse: Callable[[str], object], expected: str, texts: Iterable[str]
    ) -> None:
        """None of these is taken; each complaint says in one line what is expected."""
        for text in texts:
            complaint = str(self.assertRaises(ValueError, parse, text))
            self.assertIn(expected, complaint, repr(text))
            self.assertEqual(1, len(complaint.splitlines()), repr(text))


class ValueTests(ValueTestCase):
    def test_duration(self) -> None:
        expected = {
            "10": 10,
            "2.5": 2.5,
            "0": 0,
            "500ms": 0.5,
            "10s": 10,
            "5m": 300,
            "1h": 3600,
            " 5 m ": 300,
        }
        self.assertEqual(expected, {text: values.duration(text) for text in expected})
        self.assert_refused(
            values.duration,
            "a number of seconds",
            ["", "-1", "1d", "s", "ten", "nan", "inf", "1e3", "1,5"],
        )

    def test_positive_duration(self) -> None:
        self.assertEqual(0.5, values.positive_duration("500ms"))
        self.assert_refused(values.positive_duration, "more than 0 seconds", ["0", "0s", "0.0h"])
        self.assert_refused(values.positive_duration, "a number of seconds", ["-1", ""])

    def test_size(self) -> None:
        expected = {
            "1": 1,
            "65536": 65536,
            "64K": 65536,
            "64k": 65536,
            "64KB": 65536,
            "64KiB": 65536,
            "1M": 1048576,
            "2G": 2147483648,
        }
        self.assertEqual(expected, {text: values.size(text) for text in expected})
        self.assert_refused(
            values.size,
            "a number of bytes above 0",
            ["", "0", "0K", "-1", "1.5M", "1T", "M", "1 MM"],
        )

    def test_count(self) -> None:
        self.assertEqual([1, 32], [values.count("1"), values.count(" 32 ")])
        self.assert_refused(
            values.count, "a whole number above 0", ["", "0", "-1", "1.5", "1e3", "x", "²"]
        )

    def test_switch(self) -> None:
        self.assertEqual([True, True], [values.switch("on"), values.switch(" ON ")])
        self.assertEqual([False, False], [values.switch("off"), values.switch("Off")])
        self.assert_refused(values.switch, "on or off", ["", "1", "0", "true", "no"])

    def test_one_of(self) -> None:
        parse = values.one_of("ignore", "close")
        self.assertEqual("close", parse("close"))
        self.assert_refused(parse, "one of ignore, close", ["", "Close", "ignore,close"])

    def test_message_text(self) -> None:
        for text in ("", " ", '{"error": "你好"}', "two\nlines"):
            self.assertEqual(text, values.message_text(text))

    def test_existing_file(self) -> None:
        path = self.mktemp()
        self.assert_refused(values.existing_file, "the path of a file that exists", [path, ".", ""])
        Path(path).touch()
        self.assertEqual(path, str(values.existing_file(path)))

    def test_url_path(self) -> None:
        for path in ("/ws", "/a/b-c.d_e~f", "/v1/ws"):
            self.assertEqual(path, values.url_path(path))
        self.assert_refused(
            values.url_path,
            "a path that starts with a slash, like /ws",
            ["", "/", "ws", "//ws", "/ws/", "/ws?x", "/ws#x", "/a b", "/%41", "/é"],
        )


class HttpUrlTests(ValueTestCase):
    def test_usual(self) -> None:
        for url in (
            "http://localhost/websocket.php",
            "https://example.com:8443/a/b.php?c=d&e",
            "http://192.0.2.1:8000/",
        ):
            self.assertEqual(url, values.http_url(url))

    def test_no_path(self) -> None:
        """A host alone means its front page."""
        self.assertEqual("http://localhost/", values.http_url("http://localhost"))
        self.assertEqual("http://localhost/?a=b", values.http_url("http://localhost?a=b"))

    def test_beyond_ascii(self) -> None:
        """Neither a header nor a host of another name can be slipped in."""
        self.assert_refused(
            values.http_url,
            "in ASCII without blanks",
            [
                "http://münchen.example/",
                "http://localhost/ü",
                "http://localhost/ x",
                "http://localhost/\r\nCookie: x",
            ],
        )

    def test_refused(self) -> None:
        self.assert_refused(
            values.http_url,
            "an absolute URL, like http://localhost/websocket.php",
            [
                "",
                "localhost/websocket.php",
                "localhost:80",
                "/websocket.php",
                "//localhost/",
                "http:/localhost",
                "http://",
                "http://:80/",
                "ftp://localhost/",
                "unix:/run/php.sock",
                "http://localhost:http/",
                "http://localhost:0/",
                "http://[::1/",
                "http://user@localhost/",
                "http://user:password@localhost/",
                "http://localhost/#top",
            ],
        )

    def test_ipv6(self) -> None:
        self.assertEqual("http://[::1]:8080/ws.php", values.http_url("http://[::1]:8080/ws.php"))

    def test_underscore(self) -> None:
        """Container networks name hosts so, without asking DNS."""
        self.assertEqual("http://my_php/ws.php", values.http_url("http://my_php/ws.php"))

    def test_port_that_cannot_be(self) -> None:
        self.assert_refused(values.http_url, "an absolute URL", ["http://localhost:65536/"])

    def test_scheme_in_capitals(self) -> None:
        """RFC 3986, section 3.1."""
        self.assertEqual("http://localhost/ws.php", values.http_url("HTTP://localhost/ws.php"))


class ServerEndpointTests(ValueTestCase):
    def test_endpoint(self) -> None:
        for endpoint in (
            "tcp:8080",
            "tcp:8080:interface=127.0.0.1",
            "unix:/run/phpgw.sock",
            "ssl:8443:privateKey=key.pem:certKey=cert.pem",
            "haproxy:tcp:8080",
            "systemd:domain=INET:index=0",
        ):
            self.assertEqual(endpoint, values.server_endpoint(f" {endpoint} "))

    def test_port_number(self) -> None:
        """A bare number is a TCP port."""
        self.assertEqual("tcp:8080", values.server_endpoint("8080"))

    def test_refused(self) -> None:
        self.assert_refused(
            values.server_endpoint,
            "a Twisted server endpoint, like tcp:8080",
            ["", "tcp", "tcp:", ":8080", "localhost", "/run/x.sock", "-1"],
        )


class ClientEndpointTests(ValueTestCase):
    def test_endpoint(self) -> None:
        for text in ("unix:/run/php/php8.2-fpm.sock", "tcp:127.0.0.1:9000", "tls:php:443"):
            self.assertEqual(text, values.client_endpoint(text))

    def test_as_php_fpm_writes_it(self) -> None:
        """The text of listen= in a pool's configuration will do."""
        self.assertEqual("unix:/run/fpm.sock", values.client_endpoint("/run/fpm.sock"))
        self.assertEqual("tcp:127.0.0.1:9000", values.client_endpoint("127.0.0.1:9000"))

    def test_refused(self) -> None:
        self.assert_refused(
            values.client_endpoint, "a Twisted client endpoint", ["", "9000", "fpm.sock", "unix:"]
        )


class PathAndUserTests(ValueTestCase):
    def test_absolute_path(self) -> None:
        self.assertEqual("/srv/ws.php", values.absolute_path("/srv/ws.php"))
        self.assertEqual(str(Path.cwd() / "ws.php"), values.absolute_path("ws.php"))
        self.assert_refused(values.absolute_path, "a path", ["", "a\0b"])

    def test_user_name(self) -> None:
        self.assertEqual("root", values.user_name("root"))
        self.assert_refused(values.user_name, "the name of a user", ["", "no such user", "a\0b"])
