"""The options of ``twistd phpgw``, from command line, environment and file, and its service."""

import difflib
import os
import re
import shlex
import sys
import textwrap
import tomllib
from codecs import BOM_UTF8
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from twisted.application.service import IService
from twisted.logger import Logger
from twisted.python import usage

from phpgw import __version__
from phpgw.log_limit import LineLimitService, line_limit
from phpgw.process.log_file import LogObserverService, ReopenableLogFile
from phpgw.process.monotonic_clock import use_monotonic_time
from phpgw.process.twistd_checks import CannotStart, log_path, prepare
from phpgw.service import make_gateway
from phpgw.settings import OPTIONS, Settings
from phpgw.settings.option import Given, InvalidOption, Option, shortened
from phpgw.transport.socket_reactor import make_socket_reactor

_WIDTH = 79
# A larger file is not a configuration file. It may be a device without an end.
_MAX_FILE_SIZE = 1_000_000
_CONFIG = Option(
    name="config",
    section="Running",
    metavar="FILE",
    parse=Path,
    default=None,
    repeatable=False,
    description='A TOML file with options, like php-url = "http://localhost/websocket.php". A '
    "repeatable option takes a list.",
)
_BY_NAME = {option.name: option for option in (*OPTIONS, _CONFIG)}

_GETOPT_ERROR = re.compile(
    r"option (--?)(.*) (not recognized|requires argument|not a unique prefix)", re.DOTALL
)
_OPTIONS_OF_TWISTD = frozenset(
    (
        *("n", "nodaemon", "pidfile", "l", "logfile", "logger", "syslog", "prefix", "d", "rundir"),
        *("u", "uid", "g", "gid", "euid", "umask", "chroot", "r", "reactor", "b", "debug"),
    )
)
# Variables of Kubernetes and Docker for a service with the name phpgw, or phpgw-something.
_SERVICE_VARIABLE = re.compile(
    r"PHPGW_(?:\w+_)?(?:SERVICE_(?:HOST|PORT(?:_\w+)?)|PORT_[0-9]+_(?:TCP|UDP|SCTP)(?:_\w+)?)"
)
_SERVICE_URL = re.compile(r"(?:tcp|udp|sctp)://.*", re.DOTALL)
# Variables of the PHP library.
_LIBRARY_VARIABLES = frozenset(("PHPGW_URL", "PHPGW_TOKEN", "PHPGW_SECRET"))
_log = Logger(observer=line_limit)

_INTRODUCTION = """\
phpgw holds WebSocket connections for PHP code that runs under PHP-FPM. Browsers
connect to ws://HOST:8080/ws. Each message becomes one POST to your PHP script,
and the script's output goes back to the client. To send a message to any client
at any time, POST message and client_id to http://HOST:8080/send."""

_CLOSING = """\
You can set every option in three places: on the command line, in the
environment (--php-url is PHPGW_PHP_URL), and in the file of --config
(PHPGW_CONFIG). The command line wins over the environment, and the environment
wins over the file. In the environment, put spaces between the values of a
repeatable option, and quotes around a value that contains a space.

A TIME is a number of seconds, or a number with a unit (500ms, 10s, 5m, 1h). A
SIZE is a number of bytes, or a number with a unit (64K, 1M, 1G)."""

_EXAMPLES = """\
  phpgw serve --php-url http://localhost/websocket.php
  phpgw serve --config /etc/phpgw.toml --listen 8080 --listen /run/phpgw.sock
  twistd --pidfile /run/phpgw.pid --logfile /var/log/phpgw.log \\
      phpgw --php-url http://localhost/websocket.php"""


class Options(usage.Options):
    """The command line of ``twistd phpgw``.

    :param environment: contains the ``PHPGW_...`` variables.
    :param program: the name of the program, for messages to the user.
    :ivar settings: the result of :meth:`parseOptions`.
    """

    settings: Settings
    synopsis = "--php-url URL [options]"

    def __init__(
        self, environment: Mapping[str, str] = os.environ, program: str = "twistd phpgw"
    ) -> None:
        self._environment = environment
        self._program = program
        self._given: dict[str, list[Given]] = {}
        super().__init__()

    def opt_version(self) -> None:
        """Print the version and exit."""
        print(f"phpgw {__version__}")
        sys.exit(0)

    def parseOptions(self, options: Sequence[str] | None = None) -> None:
        """Parse the options. On an error, exit with one line that says what is expected.

        twistd itself would print its whole manual first.

        :raises SystemExit: with status 1.
        """
        try:
            super().parseOptions(options)
        except usage.UsageError as error:
            message = " ".join(self._with_suggestion(str(error)).splitlines())
            sys.exit(f"phpgw: {message}")

    def parseArgs(self, *arguments: str) -> None:
        if arguments:
            found = shortened(repr(arguments[0]))
            raise usage.UsageError(f"{found}: expected options alone; try {self._program} --help")

    def postOptions(self) -> None:
        """Combine command line, environment and file into :attr:`settings`.

        :raises usage.UsageError: if a value is invalid.
        """
        try:
            if self.parent is not None:
                prepare(self.parent)
            environment = _from_environment(self._environment)
            named = self._given.pop("config", None) or environment.pop("config", None)
            file = _from_file(named[-1]) if named else {}
            self.settings = Settings.from_texts({**file, **environment, **self._given})
        except (CannotStart, InvalidOption) as error:
            raise usage.UsageError(str(error)) from error

    def getUsage(self, width: int | None = None) -> str:
        """Return the manual."""
        sections: dict[str, list[str]] = {}
        for option in sorted(_BY_NAME.values(), key=lambda option: option is _CONFIG):
            sections.setdefault(option.section, []).append(_manual_entry(option))
        lines = ["", _INTRODUCTION]
        for heading, entries in sections.items():
            lines += ["", f"{heading}:", *entries]
        help_lines = [
            "  --help",
            "      Print this page.",
            "  --version",
            "      Print the version.",
        ]
        lines += [*help_lines, "", _CLOSING, "", "Examples:", _EXAMPLES, ""]
        return "\n".join(lines)

    def _with_suggestion(self, problem: str) -> str:
        """Return an error message of getopt in our own words, with a suggestion."""
        match = _GETOPT_ERROR.fullmatch(problem)
        if match is None:
            return problem
        dashes, name, what = match.groups()
        if what == "requires argument":
            return f"--{name}: got nothing; expected {_BY_NAME[name].metavar}"
        if name in _OPTIONS_OF_TWISTD:
            return f"{dashes}{name}: {self._explain_twistd_option()}"
        return f"{dashes}{shortened(name)}: {_unknown_option(name)}"

    def _explain_twistd_option(self) -> str:
        if self.parent is None:
            return f"this is an option of twistd; {self._program} runs in the foreground anyway"
        return "this is an option of twistd, and comes before phpgw: twistd -n phpgw ..."


def _make_setter(option: Option) -> Callable[[Options, str], None]:
    def record(self: Options, text: str) -> None:
        given = Given(text, "on the command line")
        self._given.setdefault(option.name, []).append(given)

    return record


# usage.Options accepts the options for which it has a method with the prefix ``opt_``.
for _option in _BY_NAME.values():
    setattr(Options, "opt_" + _option.name.replace("-", "_"), _make_setter(_option))


def _manual_entry(option: Option) -> str:
    notes = [option.description]
    if option.default is not None:
        notes.append(f"Default: {option.default}")
    body = textwrap.fill(
        " ".join(notes),
        _WIDTH,
        initial_indent=" " * 6,
        subsequent_indent=" " * 6,
        break_on_hyphens=False,
    )
    return f"  --{option.name} {option.metavar}\n{body}"


def _unknown_option(name: str) -> str:
    close = difflib.get_close_matches(name[:80], _BY_NAME, n=1)
    meant = f"did you mean --{close[0]}?" if close else "--help lists them"
    return f"there is no such option; {meant}"


def _from_environment(environment: Mapping[str, str]) -> dict[str, list[Given]]:
    given: dict[str, list[Given]] = {}
    known = {option.environment_name for option in _BY_NAME.values()}
    for variable in sorted(environment.keys() - known):
        if variable.startswith("PHPGW_") and not _is_foreign(variable, environment[variable]):
            name = variable.removeprefix("PHPGW_").lower().replace("_", "-")
            _log.warn(
                "{variable} in the environment: {reason}",
                variable=shortened(variable),
                reason=_unknown_option(name),
            )
    for option in _BY_NAME.values():
        text = environment.get(option.environment_name)
        # A Compose file sets a variable to an empty text if it has no value.
        if text:
            source = f"{option.environment_name} in the environment"
            texts = _split_values(option, text, source) if option.repeatable else [text]
            given[option.name] = [Given(each, source) for each in texts]
    return given


def _is_foreign(variable: str, value: str) -> bool:
    """Return whether a variable belongs to the PHP library, Docker or Kubernetes."""
    if variable in _LIBRARY_VARIABLES or _SERVICE_VARIABLE.fullmatch(variable):
        return True
    return variable.endswith("_PORT") and _SERVICE_URL.fullmatch(value) is not None


def _split_values(option: Option, text: str, source: str) -> list[str]:
    """Split the values in a variable at blanks. Quotes keep a value with blanks together."""
    try:
        return shlex.split(text)
    except ValueError as error:
        raise InvalidOption(
            option.name, f"values with blanks in between ({error})", str(Given(text, source))
        ) from None


def _from_file(named: Given) -> dict[str, list[Given]]:
    def invalid(expected: str) -> InvalidOption:
        return InvalidOption("config", expected, str(named))

    try:
        with Path(named.text).open("rb") as file:
            text = file.read(_MAX_FILE_SIZE + 1)
        if len(text) > _MAX_FILE_SIZE:
            raise invalid("a TOML file of a megabyte at most")
        table = tomllib.loads(text.removeprefix(BOM_UTF8).decode())
    except OSError as error:
        raise invalid(f"a readable file ({error.strerror})") from None
    except RecursionError:
        raise invalid("a TOML file (this one is nested too deeply)") from None
    except ValueError as error:
        # It is also raised for numbers with thousands of digits.
        raise invalid(f"a TOML file ({error})") from None
    given: dict[str, list[Given]] = {}
    for key, value in table.items():
        name = key.replace("_", "-")
        if name == _CONFIG.name:
            raise invalid("no further file in this one")
        if name not in _BY_NAME:
            raise invalid(f"options as keys; {shortened(key)}: {_unknown_option(name)}")
        if name in given:
            raise invalid(f"each option once, and {name} is there as {name.replace('-', '_')}, too")
        several = _BY_NAME[name].repeatable and isinstance(value, list)
        source = f"{key} in {named.text}"
        given[name] = [Given(_as_text(each), source) for each in (value if several else [value])]
    return given


def _as_text(value: object) -> str:
    """Return a TOML value as it would be written on a command line."""
    if isinstance(value, bool):
        return "on" if value else "off"
    try:
        return str(value)
    except (ValueError, RecursionError):
        # A number with thousands of digits, or lists nested too deeply.
        return "..."


def makeService(options: Options) -> IService:
    """Return the gateway's service, not started yet, with its ports open.

    So errors are reported before twistd goes into the background and opens the log.

    :raises SystemExit: with status 1 and one line of explanation, if the options are invalid or a
        port cannot be opened.
    """
    # Imported here, since twistd has only now chosen the reactor.
    from twisted.internet import reactor

    use_monotonic_time(reactor)
    try:
        path = None if options.parent is None else log_path(options.parent)
        log = None if path is None else ReopenableLogFile(path)
        gateway = make_gateway(options.settings, make_socket_reactor(reactor), log)
        gateway.open_ports()
    except InvalidOption as error:
        sys.exit(f"phpgw: {error}")
    LineLimitService(reactor).setServiceParent(gateway)
    if log is None:
        return gateway
    service = LogObserverService(log)
    gateway.setServiceParent(service)
    return service
