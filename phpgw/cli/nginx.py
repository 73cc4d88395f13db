"""``phpgw nginx``: a configuration of Nginx."""

import os
from collections.abc import Mapping, Sequence

from phpgw.cli.sample_command import SampleCommand, address_option, describe, site_options
from phpgw.samples.nginx import make_location, make_site
from phpgw.samples.proxied_gateway import find_gateway
from phpgw.samples.web_site import find_site
from phpgw.settings.option import Given
from phpgw.settings.server_address import TcpServer, UnixServer
from phpgw.settings.sources import combine


def _nginx(
    given: Mapping[str, Sequence[Given]],
    address: TcpServer | UnixServer | None,
    server_name: str | None,
    certificate: str | None,
    key: str | None,
) -> tuple[str, Sequence[str]]:
    settings = combine(given, os.environ)
    gateway = find_gateway(settings, address)
    if server_name is None:
        return make_location(gateway), describe(gateway.missing)
    site = find_site(settings, server_name, certificate, key)
    return make_site(gateway, site), describe((*gateway.missing, *site.missing))


command = SampleCommand(
    "nginx",
    callback=_nginx,
    params=[*site_options(), address_option()],
    description="Print a configuration of Nginx that fits the gateway's own.",
    short_help="Print a configuration of Nginx.",
    examples="""\
phpgw nginx --config /etc/phpgw.toml > /etc/nginx/snippets/phpgw.conf
phpgw nginx --server-name example.com > /etc/nginx/conf.d/phpgw.conf""",
)
