"""``phpgw serve``: the gateway, in the foreground.

It works like ``twistd -n phpgw``, but reads no plugins, and leaves no file behind. The log goes to
the standard error.
"""

import os
import signal
import sys
from typing import Any

import click

from phpgw.cli.command import Command
from phpgw.cli.errors import CommandFailed, InvalidUsage
from phpgw.cli.setting_options import given_texts, setting_options
from phpgw.cli.version import version_option
from phpgw.process.twistd_checks import TWISTD_OPTIONS
from phpgw.settings import Settings
from phpgw.settings.manual import make_manual
from phpgw.settings.option import InvalidOption, shortened
from phpgw.settings.sources import BY_NAME, combine


class ServeCommand(Command):
    """The command, with the manual of ``twistd phpgw``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            if error.option_name.lstrip("-") not in TWISTD_OPTIONS:
                raise
            raise InvalidUsage(
                f"{error.option_name}: this is an option of twistd; {ctx.command_path} runs in "
                "the foreground anyway"
            ) from None

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        self.format_usage(ctx, formatter)
        formatter.write(f"\n{make_manual()}")


def _serve(words: tuple[str, ...], **parameters: Any) -> None:
    """Run the gateway until it is told to stop.

    :param words: arguments that are not options.
    :raises InvalidOption: if the settings are invalid.
    """
    if words:
        found = shortened(repr(words[0]))
        raise InvalidUsage(f"{found}: expected options alone; try phpgw serve --help")
    for number in (signal.SIGTERM, signal.SIGINT):
        # Until the reactor runs. Process 1 of a container ignores signals without a handler.
        signal.signal(number, _exit)
    texts = combine(given_texts(parameters), os.environ)
    settings = Settings.from_texts(texts)
    # Imported here, since loading these modules takes some time.
    from twisted.internet import reactor
    from twisted.logger import globalLogBeginner

    from phpgw.logs.observer import make_observer
    from phpgw.workers.opening import open_process

    try:
        gateway = open_process(settings, texts, reactor, log_descriptor=2)
    except InvalidOption as error:
        raise CommandFailed(str(error)) from None
    observer = make_observer(settings.log_level, settings.log_format, sys.stderr)
    globalLogBeginner.beginLoggingTo([observer])
    gateway.privilegedStartService()
    gateway.startService()
    running: Any = reactor
    running.addSystemEventTrigger("before", "shutdown", gateway.stopService)
    running.run()


def _exit(number: int, frame: object) -> None:
    sys.exit(128 + number)


command = ServeCommand(
    "serve",
    callback=_serve,
    params=[
        *setting_options(BY_NAME.values()),
        version_option(),
        click.Argument(["words"], nargs=-1, metavar=""),
    ],
    short_help="Run the gateway in the foreground.",
)
