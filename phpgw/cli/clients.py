"""``phpgw clients``: the connected clients."""

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

import click

from phpgw.cli.api_client import ApiClient
from phpgw.cli.api_command import ApiCommand
from phpgw.cli.output import (
    counted,
    json_option,
    note,
    print_fields,
    print_json,
    print_table,
    write,
)
from phpgw.cli.parsed_value import ParsedValue
from phpgw.cli.tail_view import event_line
from phpgw.cli.targets import filter_options
from phpgw.settings import parsers

_HEADINGS = ("CLIENT", "USER", "GROUPS", "CONNECTED", "ADDRESS", "PATH")
# A field of the API, and its name for people.
_FIELDS = {
    "client_id": "Client",
    "user": "User",
    "groups": "Groups",
    "state": "State",
    "connected_at": "Connected",
    "address": "Address",
    "path": "Path",
    "origin": "Origin",
    "user_agent": "User agent",
}


def _clients(
    api: ApiClient,
    client_id: str | None,
    group: str | None,
    user: str | None,
    limit: int,
    after: str | None,
    as_json: bool,
) -> None:
    if client_id is not None:
        client = api.get("clients", client_id, fields=_FIELDS)
        if as_json:
            print_json(client)
        else:
            print_fields({name: _text(client[field]) for field, name in _FIELDS.items()})
            # With --record-events of the gateway.
            for event in reversed(client.get("events", ())):
                write(event_line(event))
        return
    page = api.clients(limit, after, group, user)
    if as_json:
        print_json(page)
        return
    print_table(_HEADINGS, [_row(each) for each in page["clients"]])
    shown = len(page["clients"])
    if page["next"] is not None:
        more = f"--after {shlex.quote(page['next'])}"
        note(f"{shown} of {counted(page['total'], 'client')}; for the next ones: {more}")
    elif not shown:
        note("No client is connected." if group is user is None else "There is no such client.")


def _row(client: Mapping[str, Any]) -> Sequence[str]:
    # To the second.
    connected = f"{client['connected_at'][:19]}Z"
    texts = (_text(client[each]) for each in ("client_id", "user", "groups"))
    return (*texts, connected, _text(client["address"]), _text(client["path"]))


def _text(value: str | Sequence[str] | None) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else ", ".join(value)


command: click.Command = ApiCommand(
    "clients",
    callback=_clients,
    params=[
        click.Argument(["client_id"], required=False),
        *filter_options(),
        click.Option(
            ["--limit"],
            metavar="COUNT",
            type=ParsedValue(parsers.count),
            default=100,
            help="How many clients to list. Default: 100",
        ),
        click.Option(["--after"], metavar="ID", help="List the clients behind this one."),
        json_option(),
    ],
    help="List the clients that are connected, by their ids, or print all about one of them.",
    short_help="List the connected clients.",
    examples="""\
phpgw clients
phpgw clients --group room-1 --limit 5000
phpgw clients --user 42 --json
phpgw clients 127.0.0.1:51110""",
)
