"""``phpgw supervisor``: a program for Supervisor."""

import os
from collections.abc import Mapping, Sequence

import click

from phpgw.cli.sample_command import SampleCommand, program_option
from phpgw.samples.service import find_service
from phpgw.samples.supervisor import make_program
from phpgw.settings.option import Given


def _supervisor(
    given: Mapping[str, Sequence[Given]], program: str | None, user: str
) -> tuple[str, Sequence[str]]:
    service = find_service(given, os.environ, program)
    return make_program(service, user), service.notes


command = SampleCommand(
    "supervisor",
    callback=_supervisor,
    params=[
        click.Option(
            ["--user"],
            metavar="NAME",
            default="www-data",
            help="The user who runs the gateway. Default: www-data",
        ),
        program_option(),
    ],
    description="Print a program for Supervisor that runs the gateway with these options.",
    short_help="Print a program for Supervisor.",
    examples="phpgw supervisor --config /etc/phpgw.toml > /etc/supervisor/conf.d/phpgw.conf",
)
