"""``phpgw status``: how the gateway fares."""

from collections.abc import Mapping
from typing import Any

import click

from phpgw.cli.api_client import ApiClient
from phpgw.cli.api_command import ApiCommand
from phpgw.cli.output import json_option, print_fields, print_json, print_table, write

_STATES = ("no", "yes")
_NODE_HEADINGS = ("NODE", "CLIENTS", "MESSAGES/S", "LEASE RENEWED", "PROBLEM")
_POOL_HEADINGS = (
    *("POOL", "IN USE", "IDLE", "WAITING", "SIZE", "OPENED", "CLEANED", "REFUSED"),
    *("WAIT (P99)", "PROBLEM"),
)
# The names of metrics are in braces.
_FIELDS = {
    "Clients": "{clients_now}",
    "Handshakes": "{handshakes_accepted} accepted, {handshakes_refused} refused",
    "Messages": "{messages_received} received, {messages_sent} sent",
    "Events": "{php_requests} sent to PHP, {php_failures} failed",
    "Now": "{php_requests_now} events at PHP, {events_waiting_now} waiting",
    "Pushes": "{pushes_delivered} delivered, {pushes_refused} refused",
}


def describe(stats: Mapping[str, int]) -> dict[str, str]:
    """Return the most important metrics, in words."""
    fields = {name: text.format_map(stats) for name, text in _FIELDS.items()}
    fields["Breaker"] = "open" if stats["breaker_open_now"] else "closed"
    fields["Held"] = _STATES[stats["held_now"]]
    if stats.get("nodes_now"):
        fields["Nodes"] = str(stats["nodes_now"])
    return fields


def describe_pool(pool: Mapping[str, Any]) -> list[str]:
    """Return the columns of a pool, in words."""
    refused = pool.get("refused")
    return [
        *(str(pool.get(name, "")) for name in ("name", "in_use", "idle", "waiting", "size")),
        *(str(pool.get(name, "")) for name in ("opened", "cleaned")),
        str(sum(refused.values()) if isinstance(refused, dict) else ""),
        _milliseconds(pool.get("wait_p99")),
        str(pool.get("problem", "")),
    ]


def _milliseconds(seconds: object) -> str:
    return f"{seconds * 1000:.1f} ms" if isinstance(seconds, int | float) else ""


def describe_node(node: Mapping[str, Any]) -> list[str]:
    """Return the columns of a node, in words."""
    age = node["lease_age"]
    return [
        node["name"] or node["node"],
        *("?" if node[name] is None else f"{node[name]:g}" for name in ("clients", "rate")),
        "?" if age is None else f"{age:.1f} s ago",
        node["problem"],
    ]


def _status(api: ApiClient, as_json: bool) -> int:
    """Print the status.

    :returns: the exit status: 1 if the gateway is not ready.
    """
    stats = api.stats()
    report = api.check(asks_script=False, wants_token=False)
    version = str(report["version"])
    nodes = api.get("nodes", fields=("nodes",))["nodes"]
    obstacles = api.obstacles()
    pools = api.pools()
    if as_json:
        print_json(
            {
                "url": str(api.address),
                "version": version,
                "ready": not obstacles,
                "obstacles": obstacles,
                "stats": stats,
                "pools": pools,
                "nodes": nodes,
            }
        )
    else:
        ready = f"no: {'; '.join(obstacles)}" if obstacles else "yes"
        gateway = {"Gateway": str(api.address), "Version": version, "Ready": ready}
        workers = report.get("workers", 1)
        if workers != 1:
            gateway["Workers"] = str(workers)
        print_fields({**gateway, **describe(stats)})
        for headings, rows in (
            (_NODE_HEADINGS, [*map(describe_node, nodes)]),
            (_POOL_HEADINGS, [*map(describe_pool, pools)]),
        ):
            if rows:
                write("")
                print_table(headings, rows)
    return 1 if obstacles else 0


command: click.Command = ApiCommand(
    "status",
    callback=_status,
    params=[json_option()],
    help="Print how the gateway fares. The exit status is 1 if it is not ready for more clients.",
    short_help="Print how the gateway fares.",
    examples="""\
phpgw status --config /etc/phpgw.toml
phpgw status --json | jq .stats.clients_now""",
)
