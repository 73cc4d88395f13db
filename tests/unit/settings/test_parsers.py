"""Tests for :mod:`phpgw.settings.parsers`."""

import os
from collections.abc import Callable, Iterable
from pathlib import Path

from hypothesis import example, given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from phpgw.settings import parsers
from phpgw.timers.rules import Cron, Every, Timer


class ValueTestCase(SynchronousTestCase):
    def assert_refused(
        self, parse: Callable[[str], object], expected: str, texts: Iterable[str]
    ) -> None:
        """Assert that each text is refused, with one line about what is expected."""
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
        self.assertEqual(expected, {text: parsers.duration(text) for text in expected})
        self.assert_refused(
            parsers.duration,
            "a number of seconds",
            ["", "-1", "1d", "s", "ten", "nan", "inf", "1e3", "1,5"],
        )

    def test_positive_duration(self) -> None:
        self.assertEqual(0.5, parsers.positive_duration("500ms"))
        self.assert_refused(parsers.positive_duration, "more than 0 seconds", ["0", "0s", "0.0h"])
        self.assert_refused(parsers.positive_duration, "a number of seconds", ["-1", ""])

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
        self.assertEqual(expected, {text: parsers.size(text) for text in expected})
        self.assert_refused(
            parsers.size,
            "a number of bytes above 0",
            ["", "0", "0K", "-1", "1.5M", "1T", "M", "1 MM"],
        )

    def test_count(self) -> None:
        self.assertEqual([1, 32], [parsers.count("1"), parsers.count(" 32 ")])
        self.assert_refused(
            parsers.count, "a whole number above 0", ["", "0", "-1", "1.5", "1e3", "x", "²"]
        )

    def test_whole_number(self) -> None:
        self.assertEqual([0, 32], [parsers.whole_number("0"), parsers.whole_number(" 32 ")])
        self.assert_refused(
            parsers.whole_number, "a whole number", ["", "-1", "1.5", "1e3", "x", "²"]
        )

    def test_switch(self) -> None:
        self.assertEqual([True, True], [parsers.switch("on"), parsers.switch(" ON ")])
        self.assertEqual([False, False], [parsers.switch("off"), parsers.switch("Off")])
        self.assert_refused(parsers.switch, "on or off", ["", "1", "0", "true", "no"])

    def test_environment_variable(self) -> None:
        self.patch(os, "environ", {"TOKEN": "a b"})
        parse = parsers.environment_variable
        self.assertEqual(("A_1", "b=c; $d "), parse("A_1=b=c; $d "))
        self.assertEqual(("TOKEN", ""), parse("TOKEN="))
        self.assertEqual(("TOKEN", "a b"), parse("TOKEN"))
        self.assert_refused(parse, "no NOWHERE in the gateway's own environment", ["NOWHERE"])
        for text in ("", "=x", "1=x", "A-B=x", "A B=x", "A[0]=x", "A=x\0y", "\nA=x", "Ä=x"):
            self.assert_refused(parse, "NAME=VALUE, or NAME, with a name of", [text])

    def test_one_of(self) -> None:
        parse = parsers.one_of("ignore", "close")
        self.assertEqual("close", parse("close"))
        self.assert_refused(parse, "one of ignore, close", ["", "Close", "ignore,close"])

    def test_some_of(self) -> None:
        parse = parsers.some_of("connect", "disconnect")
        self.assertEqual({"connect"}, parse("connect"))
        self.assertEqual({"connect", "disconnect"}, parse("disconnect, connect"))
        self.assertEqual(frozenset(), parse("none"))
        self.assert_refused(
            parse,
            "none, or some of connect, disconnect (with commas in between)",
            ["", "Connect", "connect,", "connect disconnect", "none,connect", "timer"],
        )

    def test_message_text(self) -> None:
        for text in ("", " ", '{"error": "你好"}', "two\nlines"):
            self.assertEqual(text, parsers.message_text(text))

    def test_existing_file(self) -> None:
        path = self.mktemp()
        self.assert_refused(
            parsers.existing_file, "the path of a file that exists", [path, ".", ""]
        )
        Path(path).touch()
        self.assertEqual(path, str(parsers.existing_file(path)))

    def test_url_path(self) -> None:
        for path in ("/ws", "/a/b-c.d_e~f", "/v1/ws"):
            self.assertEqual(path, parsers.url_path(path))
        self.assert_refused(
            parsers.url_path,
            "a path that starts with a slash, like /ws",
            ["", "/", "ws", "//ws", "/ws/", "/ws?x", "/ws#x", "/a b", "/%41", "/é"],
        )


class SubprotocolTests(ValueTestCase):
    def test_name(self) -> None:
        for text in ("json", "chat.v1", "graphql-transport-ws", " v12.stomp ", "a!#$%&'*+^_`|~"):
            self.assertEqual(text.strip(), parsers.subprotocol(text))

    def test_refused(self) -> None:
        self.assert_refused(
            parsers.subprotocol,
            "the name of a subprotocol, like json or chat.v1, one each time",
            ["", " ", "a b", "a,b", "a/b", "ä", 'a"', "a;b", "a\r\nb", "a=b"],
        )


class OriginTests(ValueTestCase):
    def test_usual(self) -> None:
        for text in (
            "https://app.example.com",
            "http://localhost:8000",
            "https://192.0.2.1:8443",
            "http://[::1]:8080",
            "https://xn--mnchen-3ya.example",
            "https://*.example.com",
            "http://*.localhost:3000",
            *("null", "file://", "ionic://", "app://", "app://-", "capacitor://localhost"),
            *("tauri://localhost", "chrome-extension://abcdefghijklmnopabcdefghijklmnop"),
            *("moz-extension://", "vscode-webview://1a2b"),
        ):
            self.assertEqual(text, parsers.origin(text))

    def test_as_browsers_write_it(self) -> None:
        """Lower case, without the default port (RFC 6454, section 6.2)."""
        for text, expected in {
            "HTTPS://App.Example.com": "https://app.example.com",
            " https://example.com/ ": "https://example.com",
            "https://example.com:443": "https://example.com",
            "http://example.com:80/": "http://example.com",
            "https://example.com:80": "https://example.com:80",
            "http://[::1]:80": "http://[::1]",
            "https://*.Example.com:443/": "https://*.example.com",
            "file:///": "file://",
            " NULL ": "null",
        }.items():
            self.assertEqual(expected, parsers.origin(text))

    def test_not_of_pages(self) -> None:
        self.assert_refused(
            parsers.origin,
            "an origin as pages have it, with http or https in place of ws and wss",
            ["ws://example.com", "WSS://example.com:8443", "wss://*.example.com"],
        )

    def test_too_many_names(self) -> None:
        """No pattern for all of .com, for IP addresses, or with the star elsewhere."""
        self.assert_refused(
            parsers.origin,
            "a name of two parts at least behind *., like https://*.example.com",
            [
                *("https://*.com", "https://*.0.0.1", "https://*.a.1", "https://*..com"),
                *("https://*.[::1]", "app://*.example.com", "chrome-extension://*.a.b"),
            ],
        )

    def test_refused(self) -> None:
        self.assert_refused(
            parsers.origin,
            "an origin, like https://app.example.com, without a path",
            [
                "",
                "*",
                "example.com",
                "//example.com",
                "https://",
                "https://example.com/app",
                "https://example.com?a",
                "https://example.com#a",
                "https://user@example.com",
                "https://a.example,https://b.example",
                "https://example.com:port",
                "https://example.com:65536",
                "https://[::1",
                "https://münchen.example",
                *(
                    "https://*",
                    "https://*example.com",
                    "https://a.*.example.com",
                    "https://*.*.a.b",
                ),
                *("://", "app:", "javascript://a", "data://", "about://blank", "https://*."),
            ],
        )


class NetworkTests(ValueTestCase):
    def test_networks(self) -> None:
        for text in ("127.0.0.1/32", "10.0.0.0/8", "0.0.0.0/0", "::1/128", "fd00::/8"):
            self.assertEqual(text, str(parsers.network(text)))

    def test_addresses(self) -> None:
        self.assertEqual("127.0.0.1/32", str(parsers.network(" 127.0.0.1 ")))
        self.assertEqual("2001:db8::1/128", str(parsers.network("2001:DB8::1")))

    def test_unix(self) -> None:
        self.assertEqual("unix", parsers.network("unix"))

    def test_refused(self) -> None:
        self.assert_refused(
            parsers.network,
            "an IP address or network, like 127.0.0.1 or 10.0.0.0/8, or unix",
            ["", "localhost", "10.0.0.1/8", "10.0.0.0/33", "10.*", "1.2.3", "[::1]", "Unix", "*"],
        )


class ForwardableHeaderTests(ValueTestCase):
    def test_name(self) -> None:
        for text, expected in {
            "X-Tenant": "X-Tenant",
            "x-request-id": "X-Request-Id",
            " DNT ": "Dnt",
            "Referer": "Referer",
            "Sec-Fetch-Site": "Sec-Fetch-Site",
        }.items():
            self.assertEqual(expected, parsers.forwardable_header(text))

    def test_no_name(self) -> None:
        """PHP cannot distinguish an underscore from a dash."""
        self.assert_refused(
            parsers.forwardable_header,
            "the name of a header: letters, digits and dashes",
            ["", "X_Tenant", "X Tenant", "X-Tenant: a", "X-Tenant\r\nHost", "X-Ténant", "X-*"],
        )

    def test_business_of_the_gateway(self) -> None:
        """Headers that frame the request, that identify the sender, or that PHP gets anyway."""
        self.assert_refused(
            parsers.forwardable_header,
            "the name of a header that is not the gateway's own business",
            [
                *("Host", "content-length", "CONTENT-TYPE", "Transfer-Encoding", "Connection"),
                *("Upgrade", "TE", "Trailer", "Keep-Alive", "Expect", "Proxy", "Content-Encoding"),
                *("Proxy-Authorization", "Accept-Encoding", "Cookie", "Authorization", "Origin"),
                *("User-Agent", "Accept-Language", "Forwarded", "X-Forwarded-For"),
                *("x-forwarded-proto", "Phpgw-User", "phpgw-anything", "Sec-WebSocket-Key"),
            ],
        )


class TimerTests(ValueTestCase):
    def test_interval(self) -> None:
        for text, seconds in {
            "clock=1s": 1,
            "clock=100ms": 0.1,
            "clock = 5 m": 300,
            "clock=90": 90,
            "clock=8784h": 366 * 86400,
        }.items():
            self.assertEqual(Timer("clock", Every(seconds)), parsers.timer(text))

    def test_cron(self) -> None:
        for text, expression in {
            "a=*/5 * * * *": "*/5 * * * *",
            "a= 30  3 * * MON-FRI ": "30 3 * * MON-FRI",
            "a=0 0 1,15 1-6/2 *": "0 0 1,15 1-6/2 *",
        }.items():
            self.assertEqual(Timer("a", Cron(expression)), parsers.timer(text))

    def test_name(self) -> None:
        for name in ("a", "Nightly.clean-up_2", "9", "n" * 64):
            self.assertEqual(name, parsers.timer(f"{name}=1s").name)
        self.assert_refused(
            parsers.timer,
            'a name (up to 64 letters, digits and ._-) and when: clock=10s, nightly="30 3 * * *"',
            [
                "",
                "?",
                "clock",
                "10s",
                "=10s",
                "clock=",
                "a b=1s",
                "ü=1s",
                "a/b=1s",
                f"{'n' * 65}=1s",
            ],
        )

    def test_too_often_or_rare(self) -> None:
        self.assert_refused(
            parsers.timer,
            "for a a time of 100ms at least and 8784h at most",
            ["a=0", "a=0s", "a=99ms", "a=8785h", f"a={'9' * 400}h"],
        )

    def test_neither(self) -> None:
        """The error has one line with the problem and what is expected."""
        self.assertEqual(
            "for a a time, like 10s, or five fields as in a crontab (minute, hour, day of month, "
            "month, day of week), like 30 3 * * *; this has a bad hour",
            str(self.assertRaises(ValueError, parsers.timer, "a=30 24 * * *")),
        )
        self.assert_refused(
            parsers.timer,
            "for a a time, like 10s, or five fields as in a crontab",
            [
                *("a=soon", "a=1d", "a=-1s", "a==1s", "a=@daily", "a=* * * *", "a=* * * * * *"),
                *("a=60 * * * *", "a=* * 31 2 *", f"a={'9' * 5000} * * * *"),
            ],
        )


class HttpUrlTests(ValueTestCase):
    def test_usual(self) -> None:
        for url in (
            "http://localhost/websocket.php",
            "https://example.com:8443/a/b.php?c=d&e",
            "http://192.0.2.1:8000/",
        ):
            self.assertEqual(url, parsers.http_url(url))

    def test_no_path(self) -> None:
        """A host without a path means its front page."""
        self.assertEqual("http://localhost/", parsers.http_url("http://localhost"))
        self.assertEqual("http://localhost/?a=b", parsers.http_url("http://localhost?a=b"))

    def test_beyond_ascii(self) -> None:
        """The text cannot inject a header or another host."""
        self.assert_refused(
            parsers.http_url,
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
            parsers.http_url,
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
        self.assertEqual("http://[::1]:8080/ws.php", parsers.http_url("http://[::1]:8080/ws.php"))

    def test_underscore(self) -> None:
        """Container networks use such names, without DNS."""
        self.assertEqual("http://my_php/ws.php", parsers.http_url("http://my_php/ws.php"))

    def test_host_that_cannot_be(self) -> None:
        for host in ("a..b", ".a", "%6d", "a" * 64, "a." * 127 + "bc", "[fe80::1%25eth0]", "[::x]"):
            self.assert_refused(parsers.http_url, "an absolute URL", [f"http://{host}/"])

    def test_port_that_cannot_be(self) -> None:
        self.assert_refused(parsers.http_url, "an absolute URL", ["http://localhost:65536/"])

    def test_scheme_in_capitals(self) -> None:
        """RFC 3986, section 3.1."""
        self.assertEqual("http://localhost/ws.php", parsers.http_url("HTTP://localhost/ws.php"))


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
            self.assertEqual(endpoint, parsers.server_endpoint(f" {endpoint} "))

    def test_short(self) -> None:
        """Short forms, as other programs accept them."""
        for text, endpoint in (
            ("8080", "tcp:8080"),
            (":8080", "tcp:8080"),
            ("*:8080", "tcp:8080"),
            ("127.0.0.1:8080", "tcp:8080:interface=127.0.0.1"),
            ("localhost:8080", "tcp:8080:interface=127.0.0.1"),
            ("0.0.0.0:80", "tcp:80:interface=0.0.0.0"),
            ("[::1]:8080", r"tcp:8080:interface=\:\:1"),
            ("[::]:8080", r"tcp:8080:interface=\:\:"),
            ("[fe80::1%eth0]:8080", r"tcp:8080:interface=fe80\:\:1%eth0"),
            ("/run/x.sock", "unix:/run/x.sock"),
            ("/run/a:b=c", r"unix:/run/a\:b=c"),
        ):
            self.assertEqual(endpoint, parsers.server_endpoint(text))

    def test_refused(self) -> None:
        self.assert_refused(
            parsers.server_endpoint,
            "a port, an address with one, or the path of a UNIX socket",
            [
                *("", "tcp", "tcp:", "localhost", "-1", "65536", ":65536", "999999", "9" * 5000),
                *("127.0.0.1:65536", "127.0.0.1:", "1.2.3:80", "1.2.3.4.5:80", "[1.2.3.4]:80"),
                *("::1:80", "[::1]", "[::1]80", "[:::1]:80", "a\nb:80", ":", "*", "*:"),
            ],
        )


class ClientEndpointTests(ValueTestCase):
    def test_endpoint(self) -> None:
        for text in ("unix:/run/php/php8.2-fpm.sock", "tcp:127.0.0.1:9000", "tls:php.example:443"):
            self.assertEqual(text, parsers.client_endpoint(text))

    def test_as_php_fpm_writes_it(self) -> None:
        """The forms of listen= in a pool's configuration, and of Compose files."""
        for text, endpoint in {
            "/run/fpm.sock": "unix:/run/fpm.sock",
            "/run/a:b.sock": r"unix:/run/a\:b.sock",
            "127.0.0.1:9000": "tcp:127.0.0.1:9000",
            "9000": "tcp:127.0.0.1:9000",
            "tcp:9000": "tcp:127.0.0.1:9000",
            "localhost:9000": "tcp:localhost:9000",
            "php_fpm:9000": "tcp:php_fpm:9000",
            "my_php.example_net:9000": "tcp:my_php.example_net:9000",
            "[::1]:9000": r"tcp:\:\:1:9000",
            "tcp:[::1]:9000": r"tcp:\:\:1:9000",
            "[fe80::1%eth0]:9000": r"tcp:fe80\:\:1%eth0:9000",
            "tcp://php:9000": "tcp:php:9000",
            "fcgi://php_fpm:9000": "tcp:php_fpm:9000",
            "tcp:php:9000": "tcp:php:9000",
            " 09000 ": "tcp:127.0.0.1:9000",
        }.items():
            self.assertEqual(endpoint, parsers.client_endpoint(text))

    def test_refused(self) -> None:
        texts = [
            "",
            "fpm.sock",
            "unix:",
            "php",
            "php:",
            "0",
            "php:0",
            "65536",
            "[::1]:65536",
            "*:9",
        ]
        self.assert_refused(parsers.client_endpoint, "[::1]:9000 or 9000", texts)


class PathAndUserTests(ValueTestCase):
    def test_absolute_path(self) -> None:
        self.assertEqual("/srv/ws.php", parsers.absolute_path("/srv/ws.php"))
        self.assertEqual(str(Path.cwd() / "ws.php"), parsers.absolute_path("ws.php"))
        self.assert_refused(parsers.absolute_path, "a path", ["", "a\0b"])

    def test_relative_to_a_directory_that_is_gone(self) -> None:
        self.addCleanup(os.chdir, Path.cwd())
        gone = Path(self.mktemp())
        gone.mkdir()
        os.chdir(gone)
        Path.cwd().rmdir()
        self.assert_refused(parsers.absolute_path, "an absolute path", ["ws.php"])
        self.assertEqual("/srv/ws.php", parsers.absolute_path("/srv/ws.php"))

    def test_user_name(self) -> None:
        self.assertEqual("root", parsers.user_name("root"))
        self.assert_refused(parsers.user_name, "the name of a user", ["", "no such user", "a\0b"])


class PropertyTests(ValueTestCase):
    every_parser = (
        *(parsers.duration, parsers.positive_duration, parsers.size, parsers.count, parsers.switch),
        *(
            parsers.whole_number,
            parsers.timer,
            parsers.message_text,
            parsers.user_name,
            parsers.origin,
        ),
        *(parsers.url_path, parsers.network, parsers.forwardable_header, parsers.http_url),
        *(parsers.server_endpoint, parsers.client_endpoint, parsers.existing_file),
        *(parsers.absolute_path, parsers.one_of("a", "b"), parsers.some_of("a", "b")),
    )

    @given(st.text(), st.sampled_from(every_parser))
    @example("https://\u2488", parsers.origin)
    @example("\udc80", parsers.user_name)
    @example("a=" + "9" * 5000, parsers.timer)
    @example("9" * 5000, parsers.size)
    @example("9" * 5000, parsers.count)
    @example("9" * 5000, parsers.duration)
    @example("\u00b2", parsers.count)
    @example("x" * 5000, parsers.existing_file)
    @example("\0", parsers.existing_file)
    @example("http://[", parsers.http_url)
    @settings(deadline=None)
    def test_whatever_is_given(self, text: str, parse: Callable[[str], object]) -> None:
        """Any text gives a value, or an error of one line."""
        try:
            parse(text)
        except ValueError as error:
            self.assertEqual(1, len(str(error).splitlines()), text)
