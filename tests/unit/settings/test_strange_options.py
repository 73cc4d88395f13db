"""Tests for unusual values of options: each gives an error of one line, or works."""

from pathlib import Path

from twisted.internet.testing import MemoryReactorClock
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from phpgw.service import make_gateway
from phpgw.settings import OPTIONS, Settings
from phpgw.settings.option import Given, InvalidOption
from phpgw.tap import Options

_URL = "http://127.0.0.1:1/"
_DIGITS = "9" * 5000
_STRANGE = (
    *(_DIGITS, f"-{_DIGITS}", f"0.{_DIGITS}", f"{_DIGITS}h", f"{_DIGITS}G", f"1e{_DIGITS}"),
    *(f":{_DIGITS}", f"127.0.0.1:{_DIGITS}", f"tcp:{_DIGITS}", f"tcp:1:backlog={_DIGITS}"),
    *(f"unix:/x:mode={_DIGITS}", f"systemd:index={_DIGITS}", f"http://x:{_DIGITS}/"),
    *(f"https://x:{_DIGITS}", f"1.2.3.4/{_DIGITS}", f"a={_DIGITS}", f"a={_DIGITS} * * * *"),
    *("haproxy:" * 500 + "tcp:1", "/" * 5000, "a/" * 5000, "[" * 5000, "\\" * 5000, ":" * 5000),
    *(
        'tcp:1 "x',
        "tcp:1:'",
        "\ud800",
        "\x7f",
        "\n",
        "a\nb",
        "tcp:1\n2",
        "é" * 3000,
        "=",
        "%",
        "\t",
    ),
    *("nan", "inf", "-1", "0", "1_000", "0x10", "1e3", "\u0663", "+1", "NaN s", "unix:", "unix::"),
)


class StrangeOptionTests(SynchronousTestCase):
    def assert_one_line(self, line: object) -> None:
        assert isinstance(line, str)
        self.assertEqual(1, len(line.splitlines()), line)
        self.assertLess(len(line), 800)

    def check_text(self, texts: dict[str, str]) -> None:
        """Make a gateway with these options, or expect an error of one line."""
        given = {name: [Given(text, "here")] for name, text in texts.items()}
        try:
            settings = Settings.from_texts(given)
            make_gateway(settings, MemoryReactorClock())
        except InvalidOption as error:
            self.assert_one_line(str(error))

    def check(self, options: list[str], environment: dict[str, str]) -> None:
        """Parse the options, or expect an error of one line."""
        try:
            Options(environment).parseOptions(options)
        except SystemExit as ended:
            self.assert_one_line(ended.code)

    def test_everywhere(self) -> None:
        """On the command line, in the environment and in a file."""
        file = Path(self.mktemp())
        for option in OPTIONS:
            for text in _STRANGE:
                self.check_text({"php-url": _URL, option.name: text})
            upstream = [] if option.name == "php-url" else [f"--php-url={_URL}"]
            for text in (_DIGITS, 'tcp:1 "x', "\ud800"):
                self.check([*upstream, f"--{option.name}={text}"], {})
                self.check(upstream, {option.environment_name: text})
            for value in (_DIGITS, f"0x{_DIGITS}", "nan", "[[1]]", "{a = 1}"):
                file.write_text(f"{option.name} = {value}\n")
                self.check([*upstream, f"--config={file}"], {})

    def test_files(self) -> None:
        """Any file as the configuration file."""
        file = Path(self.mktemp())
        for text in (
            *(
                "a = " + "[" * 5_000,
                "a = " + "{a=" * 5_000,
                "[" * 5_000,
                "a." * 2000 + "b=1",
            ),
            *("listen = [" + "[" * 400 + "]" * 400 + "]", f"a = {_DIGITS}", f"{_DIGITS} = 1", "\0"),
            *("\ufeffphp-url = 'x'", "a = 1979-99-99", "'" * 5000, "x" * 5_000),
        ):
            file.write_text(text)
            self.check([f"--config={file}"], {})
        for path in ("/", "/dev/null", "x" * 5000, "/proc/self/mem", ""):
            self.check([f"--config={path}"], {})
            self.check([], {"PHPGW_CONFIG": path})

    def test_names(self) -> None:
        for name in ("x" * 5000, "php-url" * 1000, "é", "\ud800", "", "-", "php-url\n"):
            self.check([f"--{name}"], {})
            self.check([f"-{name}"], {})
            self.check([name], {})


class UnknownVariableTests(SynchronousTestCase):
    def warnings(self, **environment: str) -> list[str]:
        with capturedLogs() as events:
            Options(environment).parseOptions([f"--php-url={_URL}"])
        return [str(formatEvent(event)) for event in events]

    def test_slip(self) -> None:
        """A misspelled variable gives a warning with a suggestion."""
        self.assertEqual(
            [
                "PHPGW_LISTN in the environment: there is no such option; did you mean --listen?",
                "PHPGW_PORT in the environment: there is no such option; --help lists them",
            ],
            self.warnings(PHPGW_LISTN="8080", PHPGW_PORT="8080", PHPGW_LISTEN="8080"),
        )

    def test_of_others(self) -> None:
        """Variables of Kubernetes, Docker and the PHP library give no warning."""
        address = "tcp://10.0.0.1:8080"
        for service in ("PHPGW", "PHPGW_WS", "PHPGW_LISTEN"):
            variables = {
                f"{service}_SERVICE_HOST": "10.0.0.1",
                f"{service}_SERVICE_PORT": "8080",
                f"{service}_SERVICE_PORT_HTTP": "8080",
                f"{service}_PORT": address,
                f"{service}_PORT_8080_TCP": address,
                f"{service}_PORT_8080_TCP_PROTO": "tcp",
                f"{service}_PORT_8080_TCP_PORT": "8080",
                f"{service}_PORT_8080_TCP_ADDR": "10.0.0.1",
            }
            self.assertEqual([], self.warnings(**variables))
        self.assertEqual([], self.warnings(PHPGW_URL="x", PHPGW_TOKEN="x", PHPGWX="1"))
