"""``phpgw tail``: each event as it ends."""

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import click

from phpgw.cli.api_client import ApiClient
from phpgw.cli.api_command import ApiCommand
from phpgw.cli.errors import GatewayUnreachable
from phpgw.cli.output import count_option, counted, json_option, note, print_json, write
from phpgw.cli.tail_view import event_line
from phpgw.cli.web_socket import WebSocket, WebSocketClosed
from phpgw.histogram import OUTCOMES
from phpgw.metrics import EVENT_TYPES

# Seconds between two attempts to reach a gateway that has stopped.
_PAUSE = 1.0


class Tail:
    """The events of a gateway, also beyond its restarts.

    :param wanted: the filter of events.
    :param sleep: waits for so many seconds.
    """

    def __init__(
        self,
        api: ApiClient,
        wanted: dict[str, str],
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self._api = api
        self._subscription = {"events": wanted}
        self._sleep = sleep

    def events(self) -> Iterator[dict[str, Any]]:
        """Return the events as they end, and without an end.

        :raises CommandFailed: if the gateway refuses.
        :raises GatewayUnreachable: if there is no gateway at first.
        """
        feed = self._api.watch(self._subscription)
        while True:
            try:
                message = json.loads(feed.receive())
            except (WebSocketClosed, ValueError) as error:
                feed.close()
                note(f"The connection has ended ({error}); connecting again ...")
                feed = self._reconnect()
                note("It is open again.")
                continue
            if "event" in message:
                yield message["event"]
            elif "lost" in message:
                number = counted(message["lost"], "event")
                note(f"Not shown: {number}, since there are too many in a second.")
            elif "missing" in message:
                note(_describe_missing(message["missing"]))

    def _reconnect(self) -> WebSocket:
        while True:
            self._sleep(_PAUSE)
            try:
                return self._api.watch(self._subscription)
            except (GatewayUnreachable, WebSocketClosed):
                continue


def _describe_missing(numbers: list[int]) -> str:
    """Return of which workers no events come, in words."""
    if not numbers:
        return "Events come from all workers again."
    workers = ", ".join(f"worker {number}" for number in numbers)
    return f"No events come from {workers}: it hangs, or has ended and is started again."


def _tail(api: ApiClient, count: int | None, as_json: bool, **wanted: str | None) -> None:
    tail = Tail(api, {name: value for name, value in wanted.items() if value is not None})
    left = count
    try:
        for event in tail.events():
            if as_json:
                print_json(event)
            else:
                write(event_line(event))
            if left is not None:
                left -= 1
                if not left:
                    return
    except KeyboardInterrupt:
        # The usual end.
        pass


command: click.Command = ApiCommand(
    "tail",
    callback=_tail,
    params=[
        click.Option(
            ["--client", "client_id"], metavar="ID", help="Show only events of this client."
        ),
        click.Option(["--user"], metavar="ID", help="Show only events of this user's clients."),
        click.Option(
            ["--group"], metavar="NAME", help="Show only events of clients in this group."
        ),
        click.Option(
            ["--type"],
            type=click.Choice(EVENT_TYPES),
            help="Show only events of this type: server (messages), connect, disconnect or timer.",
        ),
        click.Option(
            ["--outcome"],
            type=click.Choice(OUTCOMES),
            help="Show only events that ended so: replied, failed, refused (PHP was not asked) or "
            "withdrawn (the client had left).",
        ),
        count_option("Stop after so many events. Default: at Ctrl-C."),
        json_option(),
    ],
    help="Show each event as it ends: who, how it ended, how long it waited and PHP took, message "
    "and reply (their sizes, without --record-events of the gateway), the error, and the id that "
    "the log has. It goes on when the gateway is started again.",
    short_help="Show each event as it ends.",
    examples="""\
phpgw tail
phpgw tail --outcome failed
phpgw tail --client 127.0.0.1:51110 --type server
phpgw tail --count 100 --json | jq .php_ms""",
)
