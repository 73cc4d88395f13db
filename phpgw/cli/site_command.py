"""The commands that print the configuration of a web server: a part of a site, or a whole one."""

import os
from collections.abc import Callable, Mapping, Sequence

import click

from phpgw.cli.parsed_value import ParsedValue
from phpgw.cli.sample_command import SampleCommand, address_option, describe, server_name_option
from phpgw.samples.proxied_gateway import ProxiedGateway, find_gateway
from phpgw.samples.web_site import WebSite, find_site
from phpgw.settings import parsers
from phpgw.settings.option import Given
from phpgw.settings.server_address import TcpServer, UnixServer
from phpgw.settings.sources import combine, with_usual_file


class SiteCommand(SampleCommand):
    """A command for a web server that serves the pages of a site, and passes the WebSocket on.

    :param server: the name of the web server, as people write it.
    :param make_part: makes a part of a site that is there already.
    :param make_site: makes a whole site.
    """

    def __init__(
        self,
        name: str,
        server: str,
        make_part: Callable[[ProxiedGateway], str],
        make_site: Callable[[ProxiedGateway, WebSite], str],
        examples: str,
    ) -> None:
        self._make_part = make_part
        self._make_site = make_site
        super().__init__(
            name,
            callback=self._make,
            params=[*_site_options(), address_option()],
            description=f"Print a configuration of {server} that fits the gateway's own.",
            short_help=f"Print a configuration of {server}.",
            examples=examples,
        )

    def _make(
        self,
        given: Mapping[str, Sequence[Given]],
        address: TcpServer | UnixServer | None,
        server_name: str | None,
        certificate: str | None,
        key: str | None,
    ) -> tuple[str, Sequence[str]]:
        settings = combine(with_usual_file(given, os.environ), os.environ)
        gateway = find_gateway(settings, address)
        if server_name is None:
            return self._make_part(gateway), describe(gateway.missing)
        site = find_site(settings, server_name, certificate, key)
        return self._make_site(gateway, site), describe((*gateway.missing, *site.missing))


def _site_options() -> list[click.Parameter]:
    """Return options that ask for a whole site."""
    return [
        server_name_option(
            "Print a whole site of this name, like example.com, with the pages of --php-root and "
            "the PHP of --php-fpm. Default: a part for a site that you have."
        ),
        click.Option(
            ["--certificate"],
            metavar="FILE",
            type=ParsedValue(parsers.absolute_path),
            help="The certificate of the whole site, with the intermediate certificates.",
        ),
        click.Option(
            ["--key"],
            metavar="FILE",
            type=ParsedValue(parsers.absolute_path),
            help="The key of this certificate.",
        ),
    ]
