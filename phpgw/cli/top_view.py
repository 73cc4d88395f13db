"""The frames of ``phpgw top``: rates from two samples, and a sorted list of clients."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import attrs

from phpgw.cli.output import columns, counted
from phpgw.escape import printable

_HEADINGS = ("CLIENT", "USER", "GROUPS", "CONNECTED", "ADDRESS")
_KEYS = "q quit  s sort  r reverse"
# The names of metrics are in braces: those that end in _now are numbers, the others are rates.
_LINES = (
    (
        "Clients",
        "{clients_now} now, {handshakes_accepted} connect, {handshakes_refused} are refused",
    ),
    ("Messages", "{messages_received} received, {messages_sent} sent"),
    (
        "PHP",
        "{php_requests} events, {php_failures} failures, {php_requests_now} events at PHP, "
        "{events_waiting_now} waiting",
    ),
    ("Pushes", "{pushes_delivered} delivered, {pushes_refused} refused"),
)
_SHOWN = frozenset(
    (
        *("handshakes_accepted", "handshakes_refused", "messages_received", "messages_sent"),
        *("php_requests", "php_failures", "pushes_delivered", "pushes_refused", "commands_run"),
    )
)
_NOW = "_now"
_UNITS = ((86400, "d"), (3600, "h"), (60, "m"))

Client = Mapping[str, Any]
# What clients are sorted by, by the name of the order.
ORDERS: dict[str, Callable[[Client], Any]] = {
    "client": lambda client: client["client_id"],
    "user": lambda client: (client["user"] is None, client["user"]),
    "groups": lambda client: -len(client["groups"]),
    "age": lambda client: client["connected_at"],
    "address": lambda client: client["address"] or "",
}


@attrs.frozen
class Sample:
    """The answers of the gateway at one time.

    :ivar seconds: when, on a monotonic clock.
    :ivar stats: the metrics.
    :ivar clients: the first clients.
    :ivar total: the number of all clients.
    """

    seconds: float
    stats: Mapping[str, int]
    clients: Sequence[Client]
    total: int


def rates(before: Sample | None, after: Sample) -> dict[str, float]:
    """Return how much each counter grows in a second, by its name.

    A counter that is smaller than before belongs to a gateway that has started anew.
    """
    names = [name for name in after.stats if not name.endswith(_NOW)]
    if before is None or after.seconds <= before.seconds:
        return dict.fromkeys(names, 0.0)
    seconds = after.seconds - before.seconds
    return {name: max(0, after.stats[name] - before.stats.get(name, 0)) / seconds for name in names}


@attrs.define
class View:
    """The order of the list, which keys change."""

    order: str
    is_reversed: bool = False

    def press(self, key: str) -> None:
        """Change the order, if the key does so."""
        names = [*ORDERS]
        if key == "s":
            self.order = names[(names.index(self.order) + 1) % len(names)]
        elif key == "r":
            self.is_reversed = not self.is_reversed

    def sorted(self, clients: Sequence[Client]) -> list[Client]:
        """Return clients in this order."""
        return sorted(clients, key=ORDERS[self.order], reverse=self.is_reversed)

    def lines(
        self, title: str, before: Sample | None, now: Sample, clock: datetime, height: int
    ) -> list[str]:
        """Return a frame of safe texts.

        :param title: where the gateway is.
        :param before: the sample before; ``None`` for none.
        :param clock: the time of the sample.
        :param height: the lines that there are.
        """
        growth = rates(before, now)
        lines = [f"phpgw top  {printable(title)}  {clock:%H:%M:%S}  {_KEYS}"]
        values = {
            **{name: f"{value}" for name, value in now.stats.items() if name.endswith(_NOW)},
            **{name: f"{value:.1f}/s" for name, value in growth.items()},
        }
        lines += [f"{name:<10}{text.format_map(values)}" for name, text in _LINES]
        lines.append(f"{'Also':<10}{_others(now, growth)}")
        reverse = ", reversed" if self.is_reversed else ""
        is_part = len(now.clients) < now.total
        shown = f"the first {len(now.clients)} of " if is_part else ""
        lines += ["", f"{shown}{counted(now.total, 'client')}, by {self.order}{reverse}"]
        rows = [_row(each, clock) for each in self.sorted(now.clients)]
        return lines + columns([_HEADINGS, *rows[: max(0, height - len(lines) - 1)]])


def _others(now: Sample, growth: Mapping[str, float]) -> str:
    """Return what else happens."""
    words = [f"{name} {rate:.1f}/s" for name, rate in growth.items() if rate and name not in _SHOWN]
    if now.stats.get("breaker_open_now"):
        words.insert(0, "the circuit breaker is open")
    if now.stats.get("held_now"):
        words.insert(0, "events are held")
    return printable(", ".join(words)) or "-"


def _row(client: Client, clock: datetime) -> list[str]:
    cells = (
        client["client_id"],
        client["user"] or "",
        ", ".join(client["groups"]),
        age(client["connected_at"], clock),
        client["address"] or "",
    )
    return [printable(cell) or "-" for cell in cells]


def age(connected_at: str, clock: datetime) -> str:
    """Return how long ago a time in ISO 8601 was, in its two largest units."""
    passed = clock.astimezone(UTC) - datetime.fromisoformat(connected_at)
    rest = max(0, int(passed.total_seconds()))
    parts: list[str] = []
    for size, unit in _UNITS:
        count, rest = divmod(rest, size)
        if count or parts:
            parts.append(f"{count}{unit}")
    return " ".join([*parts, f"{rest}s"][:2])
