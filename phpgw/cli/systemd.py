"""``phpgw systemd``: units of systemd."""

import os
from collections.abc import Mapping, Sequence

import click

from phpgw.cli.sample_command import SampleCommand, address_option, describe, program_option
from phpgw.samples.service import find_service
from phpgw.samples.systemd import make_service
from phpgw.samples.systemd_socket import make_socket
from phpgw.settings.option import Given
from phpgw.settings.server_address import TcpServer, UnixServer


def _systemd(
    given: Mapping[str, Sequence[Given]],
    is_socket: bool,
    program: str | None,
    address: TcpServer | UnixServer | None,
) -> tuple[str, Sequence[str]]:
    service = find_service(given, os.environ, program)
    if not is_socket:
        return make_service(service), service.notes
    unit = make_socket(service, address)
    return unit.text, describe(unit.missing)


command = SampleCommand(
    "systemd",
    callback=_systemd,
    params=[
        click.Option(
            ["--socket", "is_socket"],
            is_flag=True,
            help="Print the unit of the socket, which is optional: systemd then holds the port "
            "while the gateway restarts.",
        ),
        program_option(),
        address_option(
            "The address of the socket, if the configuration says only that systemd opens it: "
            "HOST:PORT or unix:/PATH. Default: 127.0.0.1:8080"
        ),
    ],
    description="Print the unit of a systemd service that runs the gateway with these options.",
    short_help="Print the unit of a systemd service.",
    examples="""\
phpgw systemd --config /etc/phpgw.toml > /etc/systemd/system/phpgw.service
phpgw systemd --socket --config /etc/phpgw.toml > /etc/systemd/system/phpgw.socket""",
)
