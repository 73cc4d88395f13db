"""``phpgw close``: closes the connections of clients."""

from collections.abc import Sequence

import click

from phpgw.cli.api_client import ApiClient
from phpgw.cli.api_command import ApiCommand
from phpgw.cli.output import json_option, print_json, write
from phpgw.cli.parsed_value import ParsedValue
from phpgw.cli.targets import check_result, read_target, run_command, target_options
from phpgw.settings import parsers


def _close(
    api: ApiClient,
    client: Sequence[str],
    group: Sequence[str],
    user: Sequence[str],
    everybody: bool,
    upstream: str | None,
    code: int,
    reason: str,
    as_json: bool,
) -> None:
    target = read_target(client, group, user, everybody, upstream)
    result = run_command(api, target, {"op": "close", "code": code, "reason": reason})
    if as_json:
        print_json(result)
    check_result(target, result)
    if not as_json:
        write(f"Closed {target.reached(result['delivered'])}.")


command: click.Command = ApiCommand(
    "close",
    callback=_close,
    params=[
        *target_options(),
        click.Option(
            ["--code"],
            metavar="CODE",
            type=ParsedValue(parsers.count),
            default=1000,
            help="The close code, as in 4001. Default: 1000",
        ),
        click.Option(["--reason"], metavar="TEXT", default="", help="The reason for the browser."),
        json_option(),
    ],
    help="Close the connections of clients.",
    examples="""\
phpgw close --client 127.0.0.1:51110
phpgw close --user 42 --code 4001 --reason "signed out\"""",
)
