"""``phpgw apache``: a configuration of Apache."""

import os
from collections.abc import Mapping, Sequence

from phpgw.cli.sample_command import SampleCommand, address_option, describe, site_options
from phpgw.samples.apache import make_part, make_site
from phpgw.samples.proxied_gateway import find_gateway
from phpgw.samples.web_site import find_site
from phpgw.settings.option import Given
from phpgw.settings.server_address import TcpServer, UnixServer
from phpgw.settings.sources import combine


def _apache(
    given: Mapping[str, Sequence[Given]],
    address: TcpServer | UnixServer | None,
    server_name: str | None,
    certificate: str | None,
    key: str | None,
) -> tuple[str, Sequence[str]]:
    settings = combine(given, os.environ)
    gateway = find_gateway(settings, address)
    if server_name is None:
        return make_part(gateway), describe(gateway.missing)
    site = find_site(settings, server_name, certificate, key)
    return make_site(gateway, site), describe((*gateway.missing, *site.missing))


command = SampleCommand(
    "apache",
    callback=_apache,
    params=[*site_options(), address_option()],
    description="Print a configuration of Apache that fits the gateway's own.",
    short_help="Print a configuration of Apache.",
    examples="""\
phpgw apache --config /etc/phpgw.toml > /etc/apache2/phpgw.conf
phpgw apache --server-name example.com > /etc/apache2/sites-available/phpgw.conf""",
)
