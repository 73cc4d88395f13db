"""``phpgw send``: a message to clients."""

import base64
import sys
from collections.abc import Sequence

import click

from phpgw.cli.api_client import ApiClient
from phpgw.cli.api_command import ApiCommand
from phpgw.cli.errors import InvalidUsage
from phpgw.cli.output import json_option, note, print_json, write
from phpgw.cli.parsed_value import ParsedValue
from phpgw.cli.targets import check_result, read_target, run_command, target_options
from phpgw.history.rules import parse_rule

_STDIN = "-"


def _send(
    api: ApiClient,
    message: str,
    client: Sequence[str],
    group: Sequence[str],
    user: Sequence[str],
    everybody: bool,
    upstream: str | None,
    is_binary: bool,
    history: str | None,
    as_json: bool,
) -> None:
    target = read_target(client, group, user, everybody, upstream)
    data = _read_stdin() if message == _STDIN else message.encode(errors="surrogateescape")
    body = _as_binary(data) if is_binary else _as_text(data, message == _STDIN)
    if history is not None:
        if target.kind != "group":
            raise InvalidUsage("--history: only messages to a group have one")
        body["history"] = history
    result = run_command(api, target, {"op": "send", **body})
    if as_json:
        print_json(result)
    if "positions" not in result or "error" in result:
        # In a history, a message is for those who come later, too.
        check_result(target, result)
    if not as_json:
        write(f"Sent to {target.reached(result['delivered'])}.")


def _parse_history(text: str) -> str:
    """Return the text of a rule.

    :raises ValueError: with a description of valid rules, if it is none.
    """
    parse_rule(text)
    return text


def _read_stdin() -> bytes:
    if sys.stdin.isatty():
        note("Type the message, then a line with Ctrl-D.")
    return sys.stdin.buffer.read()


def _as_binary(data: bytes) -> dict[str, str]:
    return {"data": base64.b64encode(data).decode()}


def _as_text(data: bytes, is_from_stdin: bool) -> dict[str, str]:
    if is_from_stdin:
        # That of echo, or of an editor.
        data = data.removesuffix(b"\n")
    try:
        return {"message": data.decode()}
    except UnicodeDecodeError as error:
        raise InvalidUsage(
            f"MESSAGE: byte {error.start} is not UTF-8; expected UTF-8, or --binary"
        ) from None


command: click.Command = ApiCommand(
    "send",
    callback=_send,
    params=[
        click.Argument(["message"], default=_STDIN),
        *target_options(),
        click.Option(["--binary", "is_binary"], is_flag=True, help="Send a binary message."),
        click.Option(
            ["--history"],
            metavar="SIZE,TTL",
            type=ParsedValue(_parse_history),
            help="Keep the message in the history of its group, among so many and for so long, "
            "like 100,5m; off to keep it out. Default: as --history of the gateway says.",
        ),
        json_option(),
    ],
    help="Send a message to clients. Without MESSAGE, or with -, it is read from the standard "
    "input, less a line feed at its end. Put -- before a message that begins with a dash.",
    short_help="Send a message to clients.",
    examples="""\
phpgw send --client 127.0.0.1:51110 hello
phpgw send --group room-1 --group room-2 "The room closes."
date | phpgw send --all
phpgw send --group news --history 100,1h "The shop is open."
phpgw send --user 42 --binary < picture.png""",
)
