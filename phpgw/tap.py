"""``twistd phpgw``: its options, from command line, environment and file, and its service."""

import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from twisted.application.service import IService
from twisted.python import usage

from phpgw import __version__
from phpgw.logs.observer import make_observer
from phpgw.process.log_file import LogObserverService, ReopenableLogFile
from phpgw.process.twistd_checks import (
    TWISTD_OPTIONS,
    CannotStart,
    has_own_logger,
    log_path,
    prepare,
)
from phpgw.settings import Settings
from phpgw.settings.manual import make_manual
from phpgw.settings.option import Given, InvalidOption, Option, explain_unknown, shortened
from phpgw.settings.sources import BY_NAME, combine, given_on_command_line
from phpgw.workers.opening import open_process

_GETOPT_ERROR = re.compile(
    r"option (--?)(.*) (not recognized|requires argument|not a unique prefix)", re.DOTALL
)


# A worker is a process of its own, to which twistd's logger does not reach.
_ONE_LOGGER = "1 with twistd's --logger and --syslog (or phpgw serve, whose log goes to the stderr)"


class Options(usage.Options):
    """The command line of ``twistd phpgw``.

    :param environment: contains the ``PHPGW_...`` variables.
    :ivar settings: the result of :meth:`parseOptions`.
    :ivar texts: the texts that the settings were made from, by the names of options.
    """

    settings: Settings
    texts: Mapping[str, Sequence[Given]]
    synopsis = "--php-url URL [options]"

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        self._environment = environment
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
            message = " ".join(_with_suggestion(str(error)).splitlines())
            sys.exit(f"phpgw: {message}")

    def parseArgs(self, *arguments: str) -> None:
        if arguments:
            found = shortened(repr(arguments[0]))
            raise usage.UsageError(f"{found}: expected options alone; try twistd phpgw --help")

    def postOptions(self) -> None:
        """Combine command line, environment and file into :attr:`settings`.

        :raises usage.UsageError: if a value is invalid.
        """
        try:
            if self.parent is not None:
                prepare(self.parent)
            self.texts = combine(self._given, self._environment)
            self.settings = Settings.from_texts(self.texts)
        except (CannotStart, InvalidOption) as error:
            raise usage.UsageError(str(error)) from error

    def getUsage(self, width: int | None = None) -> str:
        """Return the manual."""
        return f"\n{make_manual()}"


def _with_suggestion(problem: str) -> str:
    """Return an error message of getopt in our own words, with a suggestion."""
    match = _GETOPT_ERROR.fullmatch(problem)
    if match is None:
        return problem
    dashes, name, what = match.groups()
    if what == "requires argument":
        return f"--{name}: got nothing; expected {BY_NAME[name].metavar}"
    if name in TWISTD_OPTIONS:
        hint = "this is an option of twistd, and comes before phpgw: twistd -n phpgw ..."
        return f"{dashes}{name}: {hint}"
    return f"{dashes}{shortened(name)}: {explain_unknown(name, BY_NAME)}"


def _make_setter(option: Option) -> Callable[..., None]:
    def record(self: Options, text: str) -> None:
        self._given.setdefault(option.name, []).extend(given_on_command_line([text]))

    def record_flag(self: Options) -> None:
        record(self, "on")

    return record_flag if option.is_flag else record


# usage.Options accepts the options for which it has a method with the prefix ``opt_``.
for _option in BY_NAME.values():
    setattr(Options, "opt_" + _option.name.replace("-", "_"), _make_setter(_option))


def makeService(options: Options) -> IService:
    """Return the gateway's service, not started yet, with its ports open.

    So errors are reported before twistd goes into the background and opens the log.

    :raises SystemExit: with status 1 and one line of explanation, if the options are invalid or a
        port cannot be opened.
    """
    # Imported here, since twistd has only now chosen the reactor.
    from twisted.internet import reactor

    twistd = options.parent
    path = None if twistd is None else log_path(twistd)
    make = partial(make_observer, options.settings.log_level, options.settings.log_format)
    log = None if path is None else ReopenableLogFile(path, make)
    try:
        if twistd is not None and has_own_logger(twistd) and options.settings.workers != 1:
            raise InvalidOption(
                "workers", _ONE_LOGGER, repr(str(options.settings.workers or "auto"))
            )
        gateway = open_process(options.settings, options.texts, reactor, log)
    except InvalidOption as error:
        sys.exit(f"phpgw: {error}")
    if twistd is not None and has_own_logger(twistd):
        return gateway
    service = LogObserverService(partial(make, sys.stdout) if log is None else log.open)
    gateway.setServiceParent(service)
    return service
