"""The base class of commands that ask a running gateway."""

import os
from collections.abc import Sequence
from typing import Any

import click

from phpgw.cli.api_address import find_api
from phpgw.cli.api_client import ApiClient
from phpgw.cli.command import Command
from phpgw.cli.setting_options import given_texts, setting_options
from phpgw.settings.sources import BY_NAME

_SETTINGS = ("config", "api-token-file")


class ApiCommand(Command):
    """A command with the options that find the gateway. Its callback gets an ``api``.

    The context's object is what sends requests (:data:`phpgw.cli.api_exchange.Exchange`).
    """

    def __init__(self, name: str, *, params: Sequence[click.Parameter] = (), **more: Any) -> None:
        where = [
            click.Option(
                ["--url"],
                metavar="URL",
                help="Where the API is: http://HOST:PORT, https://HOST:PORT or unix:/PATH. "
                "Default: as the configuration says.",
            ),
            *setting_options(BY_NAME[name] for name in _SETTINGS),
        ]
        super().__init__(name, params=[*params, *where], **more)

    def invoke(self, ctx: click.Context) -> Any:
        """Find the gateway, and run the command.

        :raises InvalidOption: if a setting is invalid.
        """
        given = given_texts(ctx.params)
        access = find_api(given, os.environ, ctx.params.pop("url"))
        for name in _SETTINGS:
            del ctx.params[name.replace("-", "_")]
        ctx.params["api"] = ApiClient(access, ctx.obj)
        return super().invoke(ctx)
