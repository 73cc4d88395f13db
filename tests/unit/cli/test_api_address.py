"""Tests for :mod:`phpgw.cli.api_address`."""

from collections.abc import Mapping
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from phpgw.cli.api_address import (
    ApiAccess,
    TcpAddress,
    UnixAddress,
    find_api,
    parse_endpoint,
    parse_url,
)
from phpgw.cli.errors import InvalidUsage
from phpgw.settings import sources
from phpgw.settings.option import InvalidOption
from phpgw.settings.parsers import server_endpoint
from phpgw.settings.sources import given_on_command_line


class FindTests(SynchronousTestCase):
    def config(self, toml: str) -> str:
        path = Path(self.mktemp())
        path.write_text(toml)
        return str(path)

    def find(
        self, environment: Mapping[str, str] | None = None, url: str | None = None, **given: str
    ) -> ApiAccess:
        texts = {
            name.replace("_", "-"): given_on_command_line([text]) for name, text in given.items()
        }
        return find_api(texts, environment or {}, url)

    def setUp(self) -> None:
        # Whatever this machine has.
        self.patch(sources, "USUAL_FILE", Path("/nowhere/phpgw.toml"))

    def test_nothing(self) -> None:
        """Without any configuration, it is where phpgw serve has it."""
        self.assertEqual(ApiAccess(TcpAddress("127.0.0.1", 8080), None), self.find())

    def test_file(self) -> None:
        """It is where the gateway with the same file has it, with the token."""
        secret = self.config("s3cret\n")
        config = self.config(
            f'listen = "8080"\napi-listen = ["127.0.0.1:81", "82"]\napi-token-file = "{secret}"'
        )
        expected = ApiAccess(TcpAddress("127.0.0.1", 81), b"s3cret")
        self.assertEqual(expected, self.find(config=config))
        self.assertEqual(expected, self.find({"PHPGW_CONFIG": config}))

    def test_usual_file(self) -> None:
        """It counts if nothing else says where the gateway is."""
        secret = self.config("s3cret\n")
        usual = Path(self.config(f'listen = 81\napi-token-file = "{secret}"'))
        self.patch(sources, "USUAL_FILE", usual)
        self.assertEqual(ApiAccess(TcpAddress("127.0.0.1", 81), b"s3cret"), self.find())
        other = self.config("listen = 82")
        self.assertEqual(ApiAccess(TcpAddress("127.0.0.1", 82), None), self.find(config=other))

    def test_token_of_the_usual_file(self) -> None:
        """No other address gets it."""
        secret = self.config("s3cret\n")
        self.patch(sources, "USUAL_FILE", Path(self.config(f'api-token-file = "{secret}"')))
        self.assertIsNone(self.find(url="http://example.com").token)
        self.assertIsNone(self.find({"PHPGW_URL": "http://example.com"}).token)

    def test_shared_port(self) -> None:
        config = self.config('listen = "/run/phpgw.sock"')
        self.assertEqual(UnixAddress("/run/phpgw.sock"), self.find(config=config).address)

    def test_other_mistakes_do_not_matter(self) -> None:
        """A setting that says nothing about the API need not be valid."""
        config = self.config('php-url = "?"\nphp-timeout = 0\nlisten = 81')
        self.assertEqual(TcpAddress("127.0.0.1", 81), self.find(config=config).address)

    def test_precedence(self) -> None:
        """The command line wins, and a file that is named there; then the library's variables."""
        config = self.config("listen = 81")
        environment = {
            "PHPGW_CONFIG": config,
            "PHPGW_LISTEN": "82",
            "PHPGW_URL": "http://php:83",
        }
        self.assertEqual(84, self.port(environment, "http://x:84", config=config))
        self.assertEqual(82, self.port(environment, config=config))
        self.assertEqual(83, self.port(environment))
        del environment["PHPGW_URL"]
        self.assertEqual(82, self.port(environment))
        del environment["PHPGW_LISTEN"]
        self.assertEqual(81, self.port(environment))

    def port(self, *arguments: object, **given: str) -> int:
        address = self.find(*arguments, **given).address  # type: ignore[arg-type]
        assert isinstance(address, TcpAddress)
        return address.port

    def test_token(self) -> None:
        """The library's variable wins over the configuration, and the command line over it."""
        environment = {
            "PHPGW_API_TOKEN_FILE": self.config("of the file"),
            "PHPGW_TOKEN": "of PHP\n",
        }
        self.assertEqual(b"of PHP", self.find(environment).token)
        other = self.config("of the line")
        self.assertEqual(b"of the line", self.find(environment, api_token_file=other).token)
        del environment["PHPGW_TOKEN"]
        self.assertEqual(b"of the file", self.find(environment).token)

    def test_token_is_no_header(self) -> None:
        error = self.assertRaises(InvalidUsage, self.find, {"PHPGW_TOKEN": "a\r\nX: b"})
        self.assertIn("PHPGW_TOKEN: expected one line", str(error))

    def test_token_is_not_shown(self) -> None:
        self.assertNotIn("s3cret", repr(self.find({"PHPGW_TOKEN": "s3cret"})))

    def test_mistakes(self) -> None:
        for given in ({"config": "/no/such"}, {"api_token_file": "/no/such"}):
            self.assertRaises(InvalidOption, self.find, **given)
        error = self.assertRaises(InvalidOption, self.find, {"PHPGW_LISTEN": "http"})
        self.assertIn("--listen: got 'http' (PHPGW_LISTEN in the environment)", str(error))

    def test_no_address(self) -> None:
        """An endpoint that only the gateway understands is named, with what to do."""
        error = self.assertRaises(
            InvalidUsage, self.find, {"PHPGW_LISTEN": "systemd:index=0 haproxy:tcp:1"}
        )
        self.assertIn("the API is at systemd:index=0, haproxy:tcp:1 (--listen)", str(error))
        self.assertIn("--url", str(error))
        found = self.find({"PHPGW_LISTEN": "systemd:index=0 83"})
        self.assertEqual(TcpAddress("127.0.0.1", 83), found.address)


class EndpointTests(SynchronousTestCase):
    def test_endpoints(self) -> None:
        """Each endpoint to listen on is connected to as a program of this machine can."""
        pem = Path("/c.pem")
        for text, expected in (
            ("8080", TcpAddress("127.0.0.1", 8080)),
            ("*:8080", TcpAddress("127.0.0.1", 8080)),
            ("0.0.0.0:8080", TcpAddress("127.0.0.1", 8080)),
            ("[::]:8080", TcpAddress("::1", 8080)),
            ("[::1]:8080", TcpAddress("::1", 8080)),
            ("10.0.0.1:8080", TcpAddress("10.0.0.1", 8080)),
            ("tcp:port=8080:interface=127.0.0.2", TcpAddress("127.0.0.2", 8080)),
            ("tcp:8080:127.0.0.2", TcpAddress("127.0.0.2", 8080)),
            ("tcp6:8080", TcpAddress("::1", 8080)),
            ("/run/a:b.sock", UnixAddress("/run/a:b.sock")),
            ("unix:address=/run/x:mode=660", UnixAddress("/run/x")),
            (
                "ssl:8443:privateKey=/k.pem:certKey=/c.pem",
                TcpAddress("127.0.0.1", 8443, True, pem),
            ),
            ("ssl:8443:privateKey=/c.pem", TcpAddress("127.0.0.1", 8443, True, pem)),
            ("ssl:systemd:index=0:privateKey=/k.pem", None),
            ("ssl:8443", None),
            ("systemd:domain=INET:index=0", None),
            ("haproxy:tcp:8080", None),
            ("tcp:http", None),
            ("unix:mode=660", None),
        ):
            self.assertEqual(expected, parse_endpoint(server_endpoint(text)), text)


class UrlTests(SynchronousTestCase):
    def test_urls(self) -> None:
        for text, expected in (
            ("http://127.0.0.1:8081", TcpAddress("127.0.0.1", 8081)),
            ("http://phpgw/", TcpAddress("phpgw", 80)),
            ("https://[::1]", TcpAddress("::1", 443, True)),
            ("unix:/run/phpgw.sock", UnixAddress("/run/phpgw.sock")),
        ):
            self.assertEqual(expected, parse_url(text))

    def test_as_text(self) -> None:
        for url in ("http://127.0.0.1:8081", "https://[::1]:443", "unix:/run/phpgw.sock"):
            self.assertEqual(url, str(parse_url(url)))

    def test_mistakes(self) -> None:
        for text in (
            *("", "x", "localhost:8080", "ftp://x", "http://", "http://x:0x1", "http://[::1"),
            *("http://a:b@x", "http://x/send", "http://x?a", "http://x#a", "unix:x", "unix:/\0"),
            *("http://x:99999", "http://\xe9", "http://a b"),
        ):
            error = self.assertRaises(InvalidUsage, parse_url, text)
            self.assertIn("; expected http://HOST:PORT", str(error))
