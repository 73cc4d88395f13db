"""``phpgw reload``: replaces the workers of a gateway, for a new version of its code."""

import os
import signal

import click

from phpgw.cli.api_client import ApiClient
from phpgw.cli.api_command import ApiCommand
from phpgw.cli.errors import CommandFailed
from phpgw.cli.output import counted, write
from phpgw.process.machine_id import machine_id


def _reload(api: ApiClient) -> None:
    """Send SIGUSR2 to the parent of the workers.

    :raises CommandFailed: if there are none, or it cannot be sent from here.
    """
    report = api.check(asks_script=False, wants_token=False)
    pid, workers = report["pid"], report.get("workers", 1)
    if workers == 1:
        raise CommandFailed(
            "this gateway is one process, which cannot replace itself: restart it (--workers 2 "
            "would make it two)"
        )
    if not report["machine"] or report["machine"] != machine_id():
        raise CommandFailed(
            f"the gateway is on another machine, or in another container: send SIGUSR2 to its "
            f"process {pid} there"
        )
    try:
        os.kill(pid, signal.SIGUSR2)
    except ProcessLookupError:
        raise CommandFailed(f"process {pid} has just ended") from None
    except PermissionError:
        raise CommandFailed(
            f"process {pid} is of {report['user']}: run this as {report['user']}, or as root"
        ) from None
    write(
        f"Process {pid} replaces its {counted(workers, 'worker')}, one after another. Its log "
        "tells of each."
    )


command: click.Command = ApiCommand(
    "reload",
    callback=_reload,
    help="Replace the workers of the gateway, one after another, by processes with the code that "
    "is installed now. No connection is refused meanwhile; clients are closed with code 1001.",
    short_help="Replace the workers, for new code.",
    examples="""\
pip install -U phpgw && phpgw reload
phpgw reload --config /etc/phpgw.toml""",
)
