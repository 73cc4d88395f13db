"""The ``phpgw`` command line. ``phpgw serve`` runs the gateway in the foreground.

It works like ``twistd -n phpgw``, without a process id file. The log goes to the standard error.
"""

import signal
import sys
from collections.abc import Callable, Sequence

from phpgw import __version__

_USAGE = """\
Usage: phpgw COMMAND [options]

A WebSocket gateway for PHP-FPM.

Commands:
{commands}

phpgw COMMAND --help explains a command. phpgw --version prints the version."""


def serve(arguments: Sequence[str]) -> None:
    """Run the gateway until it is told to stop."""
    for number in (signal.SIGTERM, signal.SIGINT):
        # Until the reactor runs. Process 1 of a container ignores signals without a handler.
        signal.signal(number, _exit)
    # Imported here, since loading these modules takes some time.
    from twisted.internet import reactor
    from twisted.logger import globalLogBeginner, textFileLogObserver

    from phpgw.tap import Options, makeService

    options = Options(program="phpgw serve")
    options.parseOptions(arguments)
    gateway = makeService(options)
    globalLogBeginner.beginLoggingTo([textFileLogObserver(sys.stderr)])
    gateway.privilegedStartService()
    gateway.startService()
    reactor.addSystemEventTrigger("before", "shutdown", gateway.stopService)
    reactor.run()


def _exit(number: int, frame: object) -> None:
    sys.exit(128 + number)


_COMMANDS: dict[str, Callable[[Sequence[str]], None]] = {"serve": serve}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command of the command line.

    :raises SystemExit: with one line of text, if there is no such command.
    """
    name, *rest = (sys.argv[1:] if arguments is None else arguments) or ["--help"]
    if name in _COMMANDS:
        _COMMANDS[name](rest)
    elif name in ("--help", "-h", "help"):
        print(_USAGE.format(commands="\n".join(map(_help_line, _COMMANDS.items()))))
    elif name == "--version":
        print(f"phpgw {__version__}")
    else:
        sys.exit(f"phpgw: there is no command {name[:80]!r}; phpgw --help lists them")


def _help_line(command: tuple[str, Callable[[Sequence[str]], None]]) -> str:
    name, function = command
    return f"  {name:<8} {(function.__doc__ or '').splitlines()[0]}"


if __name__ == "__main__":
    main()
