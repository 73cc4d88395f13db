"""``phpgw top``: what the gateway does, second by second."""

import time
from datetime import datetime

import click

from phpgw.cli.api_client import ApiClient
from phpgw.cli.api_command import ApiCommand
from phpgw.cli.errors import CommandFailed, GatewayUnreachable, explain
from phpgw.cli.output import count_option, json_option, print_json
from phpgw.cli.screen import PlainScreen, Screen, open_screen
from phpgw.cli.targets import filter_options
from phpgw.cli.top_view import ORDERS, Sample, View, rates

# In seconds.
_INTERVAL = 1.0
# One page, so that the gateway has little to do for it, however many clients there are.
_MAX_CLIENTS = 1000


class Top:
    """Samples the gateway, and shows frames.

    :param group: only clients in this group are listed.
    :param user: only clients of this user are listed.
    :param count: how many samples to take; ``None`` for no limit.
    """

    def __init__(
        self, api: ApiClient, group: str | None, user: str | None, count: int | None
    ) -> None:
        self._api = api
        self._group = group
        self._user = user
        self._count = count
        self._taken = 0
        self._before: Sample | None = None
        self._now = self._sample()

    def show(self, view: View, screen: Screen) -> None:
        """Show frames until a key says that it is enough."""
        problem: str | None = None
        while True:
            screen.draw([problem] if problem else self._lines(view, screen))
            if self._is_done():
                return
            key = self._wait(view, screen)
            if key == "q":
                return
            try:
                self._advance()
                problem = None
            except (CommandFailed, GatewayUnreachable) as error:
                # It may be there again in a moment.
                problem = explain(error)

    def print(self, screen: Screen) -> None:
        """Print each sample as JSON."""
        while True:
            growth = rates(self._before, self._now)
            print_json({"stats": self._now.stats, "rates": growth})
            if self._is_done():
                return
            screen.wait(_INTERVAL)
            self._advance()

    def _wait(self, view: View, screen: Screen) -> str:
        """Wait until it is time for the next sample.

        :returns: ``q`` if that was pressed.
        """
        end = time.monotonic() + _INTERVAL
        while (rest := end - time.monotonic()) > 0:
            key = screen.wait(rest)
            if key in ("", "q"):
                return key
            view.press(key)
            screen.draw(self._lines(view, screen))
        return ""

    def _lines(self, view: View, screen: Screen) -> list[str]:
        clock = datetime.now().astimezone()
        title = str(self._api.address)
        return view.lines(title, self._before, self._now, clock, screen.size[1])

    def _is_done(self) -> bool:
        self._taken += 1
        return self._taken == self._count

    def _advance(self) -> None:
        self._before, self._now = self._now, self._sample()

    def _sample(self) -> Sample:
        stats = self._api.stats()
        page = self._api.clients(_MAX_CLIENTS, None, self._group, self._user)
        return Sample(time.monotonic(), stats, page["clients"], page["total"])


def _top(
    api: ApiClient,
    order: str,
    is_reversed: bool,
    group: str | None,
    user: str | None,
    count: int | None,
    as_json: bool,
) -> None:
    top = Top(api, group, user, count)
    try:
        if as_json:
            top.print(PlainScreen())
            return
        with open_screen() as screen:
            top.show(View(order, is_reversed), screen)
    except KeyboardInterrupt:
        # The usual end.
        pass


command: click.Command = ApiCommand(
    "top",
    callback=_top,
    params=[
        click.Option(
            ["--sort", "order"],
            type=click.Choice([*ORDERS]),
            default="client",
            help="What the clients are sorted by: client (the id), user, groups (most first), age "
            "(oldest first) or address. Default: client",
        ),
        click.Option(["--reverse", "is_reversed"], is_flag=True, help="Sort the other way round."),
        *filter_options(),
        count_option("Stop after so many seconds. Default: at Ctrl-C, or the key q."),
        json_option(),
    ],
    help="Show what the gateway does, second by second: rates, and its clients. Press s for "
    "another order, r for the reverse order, q to quit. With more than 1000 clients, the list has "
    "the first 1000 by their ids.",
    short_help="Show what the gateway does, second by second.",
    examples="""\
phpgw top
phpgw top --sort age --group room-1
phpgw top --count 10 --json | jq .rates.messages_received""",
)
