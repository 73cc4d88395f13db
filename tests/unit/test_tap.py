"""Tests for :mod:`phpgw.tap`: options on the command line, in the environment and in a file."""

import os
import sys
from collections.abc import Mapping
from io import StringIO
from pathlib import Path
from unittest import mock

from twisted.application.service import IService
from twisted.trial.unittest import SynchronousTestCase

from phpgw import __version__
from phpgw.process.listener import Listener
from phpgw.process.signals import GracefulSignals
from phpgw.settings import OPTIONS, Settings
from phpgw.tap import Options, makeService

URL = "http://localhost/websocket.php"
PHP = ("--php-url", URL)


class OptionsTestCase(SynchronousTestCase):
    def read(self, *arguments: str, environment: Mapping[str, str] | None = None) -> Settings:
        options = Options(environment or {})
        options.parseOptions(arguments)
        return options.settings

    def complaint(self, *arguments: str, environment: Mapping[str, str] | None = None) -> str:
        """Return the line with which the process exits."""
        return self.exit_line(lambda: self.read(*arguments, environment=environment))

    def exit_line(self, function: object) -> str:
        assert callable(function)
        line = self.assertRaises(SystemExit, function).code
        # A text in place of a number: Python prints it to stderr and exits with 1.
        assert isinstance(line, str)
        self.assertEqual(1, len(line.splitlines()), line)
        return line

    def output(self, *arguments: str) -> str:
        """Return the output of options that print and exit."""
        stdout = StringIO()
        self.patch(sys, "stdout", stdout)
        self.assertIn(self.assertRaises(SystemExit, self.read, *arguments).code, (0, None))
        return stdout.getvalue()

    def config(self, toml: str | bytes) -> str:
        """Return the path of a configuration file with this text."""
        path = Path(self.mktemp())
        path.write_bytes(toml if isinstance(toml, bytes) else toml.encode())
        return str(path)


class CommandLineTests(OptionsTestCase):
    def test_options(self) -> None:
        settings = self.read(*PHP, "--php-timeout=2m", "--compression", "on")
        self.assertEqual(
            (URL, 120, True), (settings.php_url, settings.php_timeout, settings.compression)
        )

    def test_repeatable(self) -> None:
        settings = self.read(*PHP, "--listen", "81", "--listen", "unix:/run/phpgw.sock")
        self.assertEqual(("tcp:81", "unix:/run/phpgw.sock"), settings.listen)

    def test_said_twice(self) -> None:
        """If an option takes one value, the last one counts."""
        self.assertEqual("/b", self.read(*PHP, "--ws-path", "/a", "--ws-path", "/b").ws_path)

    def test_wrong_value(self) -> None:
        self.assertEqual(
            "phpgw: --php-concurrency: got '0' (on the command line); "
            "expected a whole number above 0",
            self.complaint(*PHP, "--php-concurrency", "0"),
        )

    def test_nothing_at_all(self) -> None:
        self.assertEqual(
            "phpgw: --php-script: expected the path of your script, like /srv/app/websocket.php "
            "(or --php-url http://localhost/websocket.php)",
            self.complaint(),
        )

    def test_misspelled(self) -> None:
        self.assertEqual(
            "phpgw: --php-ulr: there is no such option; did you mean --php-url?",
            self.complaint("--php-ulr", URL),
        )

    def test_unknown(self) -> None:
        self.assertEqual(
            "phpgw: --frobnicate: there is no such option; --help lists them",
            self.complaint(*PHP, "--frobnicate=1"),
        )

    def test_ambiguous(self) -> None:
        """An ambiguous prefix gets a suggestion too."""
        self.assertIn(
            "--php: there is no such option; did you mean --", self.complaint("--php", URL)
        )

    def test_no_value(self) -> None:
        self.assertEqual("phpgw: --php-url: got nothing; expected URL", self.complaint("--php-url"))

    def test_stray_word(self) -> None:
        self.assertEqual(
            "phpgw: 'start': expected options alone; try twistd phpgw --help",
            self.complaint(*PHP, "start"),
        )


class DevTests(OptionsTestCase):
    """``--dev`` is a flag, and other options have other defaults with it."""

    def test_defaults(self) -> None:
        settings = self.read(*PHP, "--dev")
        self.assertEqual(
            (True, "debug", 20, "reply", "%error%", ("tcp:8080:interface=127.0.0.1",)),
            (
                *(settings.dev, settings.log_level, settings.record_events, settings.on_error),
                *(settings.error_reply, settings.listen),
            ),
        )
        self.assertEqual(Settings(php_url=URL), self.read(*PHP))

    def test_what_is_given_counts(self) -> None:
        for environment, given in (
            ({"PHPGW_DEV": "on", "PHPGW_LISTEN": "81"}, ("--log-level", "info")),
            ({"PHPGW_CONFIG": self.config("dev = true\nlisten = 81\nlog-level = 'info'")}, ()),
        ):
            settings = self.read(*PHP, *given, environment=environment)
            self.assertEqual(
                (True, "info", ("tcp:81",)), (settings.dev, settings.log_level, settings.listen)
            )

    def test_off(self) -> None:
        for text in ("off", ""):
            settings = self.read(*PHP, environment={"PHPGW_DEV": text})
            self.assertEqual(Settings(php_url=URL), settings)


class EnvironmentTests(OptionsTestCase):
    def test_empty_is_not_given(self) -> None:
        """Compose files make empty variables."""
        given = {"PHPGW_PHP_URL": URL, "PHPGW_LISTEN": "", "PHPGW_PHP_TIMEOUT": ""}
        options = Options(given)
        options.parseOptions([])
        self.assertEqual(("tcp:8080",), options.settings.listen)
        self.assertEqual(10, options.settings.php_timeout)

    def test_every_option(self) -> None:
        """Each option can be set there, and an error names the variable."""
        for option in OPTIONS:
            name = "PHPGW_" + option.name.upper().replace("-", "_")
            if option.name in ("php-url", "error-reply", "php-script", "php-root"):
                continue  # Nearly any text will do.
            line = self.complaint(environment={"PHPGW_PHP_URL": URL, name: "?"})
            self.assertIn(f"--{option.name}: got '?' ({name} in the environment); expected", line)

    def test_url(self) -> None:
        self.assertEqual(URL, self.read(environment={"PHPGW_PHP_URL": URL}).php_url)

    def test_text_with_spaces(self) -> None:
        """Only the value of a repeatable option is split at spaces."""
        environment = {"PHPGW_ERROR_REPLY": " try again ", "PHPGW_LISTEN": " 81  82 "}
        settings = self.read(*PHP, environment=environment)
        self.assertEqual(" try again ", settings.error_reply)
        self.assertEqual(("tcp:81", "tcp:82"), settings.listen)

    def test_others(self) -> None:
        """Other variables are ignored."""
        environment = {"PHP_URL": "x", "PHPGW": "x", "LISTEN": "x", "phpgw_listen": "x"}
        self.assertEqual(Settings(php_url=URL), self.read(*PHP, environment=environment))

    def test_of_the_process(self) -> None:
        with mock.patch.dict(os.environ, {"PHPGW_WS_PATH": "/from/here"}):
            options = Options()
            options.parseOptions(PHP)
        self.assertEqual("/from/here", options.settings.ws_path)


class PrecedenceTests(OptionsTestCase):
    def setUp(self) -> None:
        self.file = self.config(
            f'php-url = "{URL}"\nws-path = "/file"\non-error = "close"\nlisten = ["1", "2"]\n'
        )
        self.environment = {
            "PHPGW_CONFIG": self.file,
            "PHPGW_WS_PATH": "/environment",
            "PHPGW_LISTEN": "3 4",
        }

    def test_file_alone(self) -> None:
        settings = self.read("--config", self.file)
        self.assertEqual(
            ("/file", "close", ("tcp:1", "tcp:2")),
            (settings.ws_path, settings.on_error, settings.listen),
        )

    def test_environment_over_file(self) -> None:
        settings = self.read(environment=self.environment)
        self.assertEqual(
            ("/environment", "close", ("tcp:3", "tcp:4")),
            (settings.ws_path, settings.on_error, settings.listen),
        )

    def test_command_line_over_environment(self) -> None:
        """The values of a repeatable option are replaced, not extended."""
        settings = self.read("--ws-path=/line", "--listen=5", environment=self.environment)
        self.assertEqual(
            ("/line", "close", ("tcp:5",)),
            (settings.ws_path, settings.on_error, settings.listen),
        )

    def test_file_named_twice(self) -> None:
        """The file of the command line replaces that of the environment."""
        other = self.config(f'php-url = "{URL}"\nws-path = "/other"')
        environment = {"PHPGW_CONFIG": self.file}
        settings = self.read("--config", other, environment=environment)
        self.assertEqual(("/other", "ignore"), (settings.ws_path, settings.on_error))

    def test_mistake_that_is_overridden(self) -> None:
        """An invalid value that is overridden is not an error."""
        environment = {**self.environment, "PHPGW_ON_ERROR": "explode"}
        self.assertEqual("reply", self.read("--on-error=reply", environment=environment).on_error)


class FileTests(OptionsTestCase):
    def complaint_about(self, toml: str | bytes) -> str:
        path = self.config(toml)
        return self.complaint(*PHP, "--config", path).replace(path, "FILE")

    def test_kinds_of_values(self) -> None:
        """Values can be TOML booleans, numbers and lists, or texts as on a command line."""
        path = self.config(
            f"""
            # a comment
            php-url = "{URL}"
            php_concurrency = 5
            ping-interval = 2.5
            max-inbox = "7"
            max-push-size = 2048
            compression = true
            skip-empty-replies = "on"
            listen = [81, "unix:/run/phpgw.sock"]
            api-listen = "82"
            """
        )
        self.assertEqual(
            Settings(
                php_url=URL,
                php_concurrency=5,
                ping_interval=2.5,
                max_inbox=7,
                max_push_size=2048,
                compression=True,
                skip_empty_replies=True,
                listen=("tcp:81", "unix:/run/phpgw.sock"),
                api_listen=("tcp:82",),
            ),
            self.read("--config", path),
        )

    def test_false(self) -> None:
        path = self.config("compression = false")
        settings = self.read(*PHP, "--config", path, environment={"PHPGW_SKIP_EMPTY_REPLIES": "on"})
        self.assertEqual((False, True), (settings.compression, settings.skip_empty_replies))

    def test_missing(self) -> None:
        self.assertEqual(
            "phpgw: --config: got 'no/such.toml' (on the command line); "
            "expected a readable file (No such file or directory)",
            self.complaint("--config", "no/such.toml"),
        )

    def test_missing_in_the_environment(self) -> None:
        self.assertIn(
            "--config: got 'no/such.toml' (PHPGW_CONFIG in the environment); expected",
            self.complaint(environment={"PHPGW_CONFIG": "no/such.toml"}),
        )

    def test_directory(self) -> None:
        self.assertIn("expected a readable file (Is a directory)", self.complaint("--config", "."))

    def test_not_toml(self) -> None:
        for text in ("php-url: x", "php-url = x", "{}", b"error-reply = '\xff'"):
            self.assertIn("expected a TOML file (", self.complaint_about(text))

    def test_byte_order_mark(self) -> None:
        """Some editors write one."""
        path = self.config(b"\xef\xbb\xbfphp-timeout = 3")
        self.assertEqual(3, self.read(*PHP, "--config", path).php_timeout)

    def test_no_end(self) -> None:
        """A device is read only up to the maximum size of a file."""
        complaint = self.complaint(*PHP, "--config", "/dev/zero")
        self.assertIn("expected a TOML file of a megabyte at most", complaint)

    def test_twice(self) -> None:
        """An option must not be given in both spellings."""
        complaint = self.complaint_about("php-timeout = 1\nphp_timeout = 2")
        self.assertIn(
            "expected each option once, and php-timeout is there as php_timeout", complaint
        )

    def test_wrong_value(self) -> None:
        self.assertEqual(
            "phpgw: --php-timeout: got '0' (php-timeout in FILE); expected more than 0 seconds",
            self.complaint_about("php-timeout = 0"),
        )

    def test_one_wrong_in_a_list(self) -> None:
        self.assertIn(
            "--listen: got 'http' (listen in FILE); expected",
            self.complaint_about('listen = ["8080", "http"]'),
        )

    def test_list_for_a_single_value(self) -> None:
        self.assertIn("--ws-path: got ", self.complaint_about('ws-path = ["/a", "/b"]'))

    def test_unknown_key(self) -> None:
        self.assertEqual(
            "phpgw: --config: got 'FILE' (on the command line); expected options as keys; "
            "php-ulr: there is no such option; did you mean --php-url?",
            self.complaint_about(f'php-ulr = "{URL}"'),
        )

    def test_table(self) -> None:
        """Options in a TOML table are refused."""
        self.assertIn("options as keys", self.complaint_about(f'[server]\nphp-url = "{URL}"'))

    def test_file_that_names_a_file(self) -> None:
        complaint = self.complaint_about('config = "other.toml"')
        self.assertIn("expected no further file in this one", complaint)

    def test_no_such_option_as_suggested(self) -> None:
        complaint = self.complaint_about('config = "other.toml"')
        self.assertNotIn("did you mean --config?", complaint)


class ManualTests(OptionsTestCase):
    def test_every_option(self) -> None:
        """The manual has each option with its kind of value, what it does and its default."""
        manual = " ".join(self.output("--help").split())
        for option in OPTIONS:
            words = f"--{option.name} {option.metavar} {option.description}"
            self.assertIn(" ".join(words.split()), manual)
            if option.default is not None:
                self.assertIn(f"{option.description} Default: {option.default}", manual)
        for name in ("--config FILE", "--version", "--help", "PHPGW_PHP_URL", "PHPGW_CONFIG"):
            self.assertIn(name, manual)

    def test_width(self) -> None:
        """It fits a terminal."""
        for line in self.output("--help").splitlines():
            self.assertLessEqual(len(line), 100, line)

    def test_version(self) -> None:
        self.assertEqual(f"phpgw {__version__}\n", self.output("--version"))

    def test_help_despite_a_mistake(self) -> None:
        self.assertIn("--php-url URL", self.output("--php-timeout", "soon", "--help"))


class MakeServiceTests(OptionsTestCase):
    def setUp(self) -> None:
        # It would end the process of the tests a second after their reactor has stopped.
        self.patch(GracefulSignals, "__init__", lambda *_: None)

    def test_service(self) -> None:
        options = Options({})
        options.parseOptions(PHP)
        with mock.patch.object(Listener, "open") as listen:
            self.assertTrue(IService.providedBy(makeService(options)))
        listen.assert_called_once_with()

    def test_endpoint_that_cannot_be(self) -> None:
        """An error from the endpoint's own parser ends the process in the same way."""
        options = Options({})
        options.parseOptions([*PHP, "--listen", "pigeon:1"])
        line = self.exit_line(lambda: makeService(options))
        self.assertIn("phpgw: --listen: got 'pigeon:1'; expected", line)
