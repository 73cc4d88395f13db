"""Tests for :mod:`phpgw.settings`: the options, and those that contradict each other."""

from ipaddress import ip_network
from pathlib import Path

import attrs
from twisted.trial.unittest import SynchronousTestCase

from phpgw.settings import OPTIONS, Settings
from phpgw.settings.option import Given, InvalidOption
from phpgw.timers.rules import Cron, Every, Timer

URL = "http://localhost/websocket.php"


def read(**texts: str | list[str]) -> Settings:
    """Return the settings for these texts, as given on a command line."""
    given = {
        name.replace("_", "-"): [
            Given(each, "on the command line")
            for each in ([text] if isinstance(text, str) else text)
        ]
        for name, text in texts.items()
    }
    return Settings.from_texts(given)


class SettingsTests(SynchronousTestCase):
    def complaint(self, **texts: str | list[str]) -> str:
        return str(self.assertRaises(InvalidOption, read, **texts))

    def test_defaults(self) -> None:
        """With only the required option, all others have the documented defaults."""
        settings = read(php_url=URL)
        self.assertEqual(Settings(php_url=URL), settings)
        self.assertEqual((("tcp:8080",), "/ws"), (settings.listen, settings.ws_path))
        self.assertEqual(((), None), (settings.api_listen, settings.api_token_file))
        self.assertEqual("ignore", settings.on_error)

    def test_defaults_are_as_declared(self) -> None:
        """The manual's defaults are those in effect, for every option."""
        declared = {option.name: option.default for option in OPTIONS if option.default is not None}
        written_out = read(php_url=URL, **{k.replace("-", "_"): v for k, v in declared.items()})
        self.assertEqual(Settings(php_url=URL), written_out)

    def test_every_option(self) -> None:
        """Each option's text becomes a value of its type, under its name."""
        token_file, secret_file = self.mktemp(), self.mktemp()
        for file in (token_file, secret_file):
            Path(file).write_text("secret")
        given: dict[str, str | list[str]] = {
            "php_url": URL,
            "php_max_run": "1h",
            "php_timeout": "1m",
            "php_concurrency": "5",
            "max_reply_size": "2K",
            "on_error": "reply",
            "error_reply": "sorry",
            "skip_empty_replies": "on",
            "events": "connect,disconnect",
            "forward_header": ["x-tenant", "DNT"],
            "secret_file": secret_file,
            "listen": ["81", "unix:/run/phpgw.sock"],
            "ws_path": "/chat/ws",
            "client_id": "random",
            "allow_origin": ["https://a.example", "http://B.example:80/"],
            "subprotocol": ["json", "chat.v1"],
            "trusted_proxy": ["10.0.0.0/8", "::1", "unix"],
            "proxy_headers": "forwarded",
            "compression": "on",
            "ping_interval": "0",
            "ping_timeout": "500ms",
            "max_message_size": "3K",
            "max_inbox": "2",
            "max_outbox": "4K",
            "max_waiting": "5",
            "waiting_timeout": "0",
            "breaker_failures": "0",
            "hide_php_errors": "off",
            "max_hold": "2m",
            "max_connections": "0",
            "max_connections_per_address": "7",
            "max_http_connections": "8",
            "handshake_timeout": "3s",
            "max_frame_size": "1K",
            "max_fragments": "9",
            "max_message_rate": "50",
            "rate_patience": "1m",
            "idle_timeout": "5m",
            "max_connection_age": "1h",
            "max_groups": "3",
            "api_listen": ["82"],
            "api_token_file": token_file,
            "max_push_size": "5K",
            "timer": ["clock=10s", "nightly=30 3 * * *"],
            "drain_timeout": "0",
        }
        values = attrs.asdict(read(**given), recurse=False)
        self.assertEqual(
            {
                "php_url": URL,
                "php_max_run": 3600,
                "php_timeout": 60,
                "php_concurrency": 5,
                "max_reply_size": 2048,
                "on_error": "reply",
                "error_reply": "sorry",
                "skip_empty_replies": True,
                "events": {"connect", "disconnect"},
                "forward_header": ("X-Tenant", "Dnt"),
                "secret_file": Path(secret_file),
                "listen": ("tcp:81", "unix:/run/phpgw.sock"),
                "ws_path": "/chat/ws",
                "client_id": "random",
                "allow_origin": ("https://a.example", "http://b.example"),
                "subprotocol": ("json", "chat.v1"),
                "trusted_proxy": (ip_network("10.0.0.0/8"), ip_network("::1"), "unix"),
                "proxy_headers": {"forwarded"},
                "compression": True,
                "ping_interval": 0,
                "ping_timeout": 0.5,
                "max_message_size": 3072,
                "max_inbox": 2,
                "max_outbox": 4096,
                "max_waiting": 5,
                "waiting_timeout": 0,
                "breaker_failures": 0,
                "hide_php_errors": False,
                "max_hold": 120,
                "max_connections": 0,
                "max_connections_per_address": 7,
                "max_http_connections": 8,
                "handshake_timeout": 3,
                "max_frame_size": 1024,
                "max_fragments": 9,
                "max_message_rate": 50,
                "rate_patience": 60,
                "idle_timeout": 300,
                "max_connection_age": 3600,
                "max_groups": 3,
                "api_listen": ("tcp:82",),
                "api_token_file": Path(token_file),
                "max_push_size": 5120,
                "timer": (Timer("clock", Every(10)), Timer("nightly", Cron("30 3 * * *"))),
                "drain_timeout": 0,
            },
            {name: values[name] for name in given},
        )

    def test_said_twice(self) -> None:
        """If an option takes one value, the last one counts."""
        self.assertEqual("/b", read(php_url=URL, ws_path=["/a", "/b"]).ws_path)

    def test_wrong_value(self) -> None:
        """The error has one line: the option, the text, its source, and what is expected."""
        self.assertEqual(
            "--php-timeout: got '0' (on the command line); expected more than 0 seconds",
            self.complaint(php_url=URL, php_timeout="0"),
        )

    def test_wrong_values(self) -> None:
        """Each of these values is refused."""
        wrong = {
            "php_url": "localhost",
            "php_max_run": "0",
            "php_timeout": "soon",
            "php_concurrency": "0",
            "max_reply_size": "big",
            "on_error": "retry",
            "skip_empty_replies": "yes",
            "events": "message",
            "forward_header": "Host",
            "secret_file": "no/such/file",
            "listen": "http",
            "ws_path": "ws",
            "client_id": "uuid",
            "allow_origin": "*",
            "trusted_proxy": "10.0.0.1/8",
            "proxy_headers": "x-real-ip",
            "compression": "1",
            "ping_interval": "-1",
            "ping_timeout": "x",
            "max_message_size": "0",
            "max_inbox": "-5",
            "max_outbox": "1.5M",
            "max_waiting": "0",
            "waiting_timeout": "long",
            "breaker_failures": "-1",
            "hide_php_errors": "1",
            "max_hold": "0",
            "max_connections": "-1",
            "max_connections_per_address": "few",
            "max_http_connections": "0",
            "handshake_timeout": "0",
            "max_frame_size": "0",
            "max_fragments": "1.5",
            "max_message_rate": "10/s",
            "rate_patience": "-1",
            "idle_timeout": "never",
            "max_connection_age": "1d",
            "max_groups": "0",
            "api_listen": "",
            "api_token_file": "no/such/file",
            "max_push_size": "0",
            "timer": "clock=soon",
            "drain_timeout": "never",
        }
        for name, text in wrong.items():
            complaint = self.complaint(**{"php_url": URL, name: text})
            option = name.replace("_", "-")
            self.assertIn(f"--{option}: got {text!r} (on the command line); expected ", complaint)
            self.assertEqual(1, len(complaint.splitlines()), complaint)

    def test_one_wrong_among_several(self) -> None:
        self.assertIn("'http'", self.complaint(php_url=URL, listen=["8080", "http"]))

    def test_no_script(self) -> None:
        self.assertEqual(
            "--php-script: expected the path of your script, like /srv/app/websocket.php "
            "(or --php-url http://localhost/websocket.php)",
            self.complaint(),
        )

    def test_one_road(self) -> None:
        """An option of another upstream is an error, and not ignored."""
        for name, text in {
            "php_script": "/srv/ws.php",
            "php_fpm": "unix:/run/fpm.sock",
            "php_root": "/srv",
            "php_user": "root",
            "php_fpm_binary": "/bin/true",
        }.items():
            complaint = self.complaint(**{"php_url": URL, name: text})
            self.assertIn(f"--{name.replace('_', '-')}: got", complaint)
            self.assertIn("expected nothing beside --php-url", complaint)
        for name, text in {"php_user": "root", "php_fpm_binary": "/bin/true"}.items():
            self.assertIn(
                "expected nothing beside --php-fpm, which runs already",
                self.complaint(**{"php_script": "/a.php", "php_fpm": "tcp:h:1", name: text}),
            )

    def test_api_where_browsers_connect(self) -> None:
        """One port cannot be for browsers and only for the API."""
        complaint = self.complaint(php_url=URL, listen=["8080", "81"], api_listen="tcp:81")
        self.assertEqual(
            "--api-listen: got 'tcp:81'; expected an endpoint that --listen does not name too",
            complaint,
        )

    def test_timers_of_one_name(self) -> None:
        """PHP could not distinguish them."""
        self.assertEqual(
            "--timer: got 'a'; expected each name once",
            self.complaint(php_url=URL, timer=["a=1s", "b=1s", "a=* * * * *"]),
        )

    def test_websocket_where_something_else_is(self) -> None:
        """The WebSocket's path must not be /send, /stats or /healthz."""
        for path in ("/send", "/stats", "/healthz", "/healthz/ws"):
            self.assertIn("--ws-path", self.complaint(php_url=URL, ws_path=path))

    def test_valid_for_good(self) -> None:
        settings = read(php_url=URL)
        self.assertRaises(
            attrs.exceptions.FrozenInstanceError, setattr, settings, "php_url", "localhost"
        )
