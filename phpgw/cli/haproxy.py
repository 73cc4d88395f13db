"""``phpgw haproxy``: a configuration of HAProxy."""

import os
from collections.abc import Mapping, Sequence

import click

from phpgw.cli.parsed_value import ParsedValue
from phpgw.cli.sample_command import SampleCommand, address_option, describe, server_name_option
from phpgw.samples.haproxy import make_backend, make_configuration
from phpgw.samples.proxied_gateway import find_gateway
from phpgw.settings import parsers
from phpgw.settings.option import Given
from phpgw.settings.server_address import TcpServer, UnixServer
from phpgw.settings.sources import combine, with_usual_file


def _haproxy(
    given: Mapping[str, Sequence[Given]],
    address: TcpServer | UnixServer | None,
    server_name: str | None,
    certificate: str | None,
) -> tuple[str, Sequence[str]]:
    settings = combine(with_usual_file(given, os.environ), os.environ)
    gateway = find_gateway(settings, address, speaks_proxy_protocol=True)
    if server_name is None:
        return make_backend(gateway), describe(gateway.missing)
    return make_configuration(gateway, server_name, certificate), describe(gateway.missing)


command = SampleCommand(
    "haproxy",
    callback=_haproxy,
    params=[
        server_name_option(
            "Print a whole configuration for the WebSocket of this name, like ws.example.com. "
            "Default: a backend to add to a configuration that you have."
        ),
        click.Option(
            ["--certificate"],
            metavar="FILE",
            type=ParsedValue(parsers.absolute_path),
            help="The file with the certificate and its key, for --server-name. Default: "
            "/etc/haproxy/certs/NAME.pem",
        ),
        address_option(),
    ],
    description="Print a configuration of HAProxy that fits the gateway's own.",
    short_help="Print a configuration of HAProxy.",
    examples="""\
phpgw haproxy --config /etc/phpgw.toml >> /etc/haproxy/haproxy.cfg
phpgw haproxy --server-name ws.example.com > /etc/haproxy/haproxy.cfg""",
)
