"""A client of the gateway's API."""

import json
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import Any
from urllib.parse import quote, urlencode

from phpgw.cli.api_address import ApiAccess
from phpgw.cli.api_exchange import ApiRequest, ApiResponse, Exchange
from phpgw.cli.errors import CommandFailed, GatewayUnreachable
from phpgw.cli.web_socket import WebSocket, open_web_socket

# The most that the API has on a page.
_PAGE = 1000
_MAX_REASON = 500
# A check may take 20 s.
_CHECK_PAUSE, _MAX_CHECK_TRIES = 0.25, 100
# What the answers of a gateway have at least.
_STATS = ("clients_now", "php_requests_now", "breaker_open_now", "held_now")
_REPORT = ("version", "pid", "uid", "user", "gids", "machine", "open_files", "concurrency")
# Bytes that are not UTF-8 go as they were typed.
_ERRORS = "surrogateescape"


class ApiClient:
    """A client of the API.

    :param exchange: sends a request.
    """

    def __init__(self, access: ApiAccess, exchange: Exchange) -> None:
        self.address = access.address
        self._token = access.token
        self._exchange = exchange

    def get(
        self, *path: str, fields: Collection[str] = (), **query: str | int | None
    ) -> dict[str, Any]:
        """Return the JSON at a path.

        :param path: the segments.
        :param fields: what has to be in it.
        :param query: the parameters; ``None`` for none.
        :raises CommandFailed: if the gateway refuses.
        :raises GatewayUnreachable: if there is no gateway.
        """
        given = {name: value for name, value in query.items() if value is not None}
        target = "/" + "/".join(quote(each, safe="", errors=_ERRORS) for each in path)
        if given:
            target += "?" + urlencode(given, errors=_ERRORS)
        return self._record(self._ask("GET", target), fields)

    def post(self, *path: str, fields: Collection[str] = ()) -> dict[str, Any]:
        """Return the JSON with which a POST without a body is answered.

        :param path: the segments.
        :param fields: what has to be in it.
        :raises CommandFailed: if the gateway refuses.
        :raises GatewayUnreachable: if there is no gateway.
        """
        return self._record(self._ask("POST", "/" + "/".join(path)), fields)

    def stats(self) -> dict[str, int]:
        """Return the gateway's numbers, by their names.

        :raises CommandFailed: if the gateway refuses.
        :raises GatewayUnreachable: if there is no gateway.
        """
        stats = self.get("stats", fields=_STATS)
        if not all(isinstance(number, int) for number in stats.values()):
            raise self._stranger()
        return stats

    def pools(self) -> list[dict[str, Any]]:
        """Return the connection pools with their figures.

        :raises CommandFailed: if the gateway refuses.
        :raises GatewayUnreachable: if there is no gateway.
        """
        pools = self.get("pools", fields=["pools"])["pools"]
        if not isinstance(pools, list) or not all(isinstance(each, dict) for each in pools):
            raise self._stranger()
        return pools

    def run(self, commands: Sequence[Mapping[str, object]]) -> list[dict[str, Any]]:
        """Run commands.

        :returns: the result of each.
        :raises CommandFailed: if the gateway refuses.
        :raises GatewayUnreachable: if there is no gateway.
        """
        results: list[dict[str, Any]] = self._read(
            self._ask("POST", "/commands", json.dumps(commands).encode())
        )
        if not isinstance(results, list) or len(results) != len(commands):
            raise self._stranger()
        if not all(_has(each, ("delivered",)) for each in results):
            raise self._stranger()
        return results

    def clients(
        self, limit: int, after: str | None, group: str | None, user: str | None
    ) -> dict[str, Any]:
        """Return a page of clients, of any length."""
        clients: list[dict[str, Any]] = []
        for page in self._pages(limit, after, group, user):
            clients += page["clients"]
        return {**page, "clients": clients}

    def _pages(
        self, limit: int, after: str | None, group: str | None, user: str | None
    ) -> Iterator[dict[str, Any]]:
        while True:
            size = min(limit, _PAGE)
            query = {"limit": size, "after": after, "group": group, "user": user}
            page = self.get("clients", fields=("clients", "next", "total"), **query)
            yield page
            limit, after = limit - size, page["next"]
            if not limit or after is None:
                return

    def check(self, *, asks_script: bool, wants_token: bool, idle: float = 0) -> dict[str, Any]:
        """Return what the gateway says of itself, and of PHP.

        It asks PHP once in a second. While another check does so, this one waits.

        :param asks_script: whether it sends PHP a check event.
        :param wants_token: whether it expects a handshake by the public way.
        :param idle: seconds for which this connection will be kept.
        """
        query = {
            "script": "on" if asks_script else "off",
            "token": "on" if wants_token else "off",
            "idle": f"{idle:g}",
        }
        for _ in range(_MAX_CHECK_TRIES):
            response = self._ask("POST", f"/check?{urlencode(query)}")
            if response.status != HTTPStatus.TOO_MANY_REQUESTS:
                break
            time.sleep(_CHECK_PAUSE)
        return self._record(response, (*_REPORT, "settings"))

    def checked_handshake(self, token: str) -> dict[str, Any] | None:
        """Return what the gateway has seen of a handshake; ``None`` if it has not come."""
        handshake: dict[str, Any] | None = self.get("check", token, fields=("handshake",))[
            "handshake"
        ]
        return handshake

    def obstacles(self) -> list[str]:
        """Return why the gateway is not ready; nothing if it is."""
        response = self._ask("GET", "/readyz")
        text = response.body.decode(errors="replace")
        if response.status not in (200, 503):
            raise self._stranger()
        return text.splitlines() if response.status == 503 else []

    def watch(self, subscription: Mapping[str, object]) -> WebSocket:
        """Return a connection to the feed, with this subscription.

        :raises CommandFailed: if the gateway refuses.
        :raises GatewayUnreachable: if there is no gateway, or if it is about to stop.
        """
        ticket = str(self.post("feed", fields=("ticket",))["ticket"])
        feed = open_web_socket(self.address, f"/feed?ticket={quote(ticket, safe='')}")
        feed.send(json.dumps(subscription))
        return feed

    def _ask(self, method: str, target: str, body: bytes = b"") -> ApiResponse:
        headers = {}
        if body:
            headers["Content-Type"] = "application/json"
        if self._token is not None:
            headers["Authorization"] = f"Bearer {self._token.decode('latin-1')}"
        return self._exchange(self.address, ApiRequest(method, target, headers, body))

    def _record(self, response: ApiResponse, fields: Collection[str]) -> dict[str, Any]:
        """Return an object with these fields."""
        record: dict[str, Any] = self._read(response)
        if not _has(record, fields):
            raise self._stranger()
        return record

    def _read(self, response: ApiResponse) -> Any:
        try:
            value = json.loads(response.body)
        except (ValueError, RecursionError):
            raise self._stranger() from None
        if response.status < 300:
            return value
        if not isinstance(value, dict) or not isinstance(value.get("error"), str):
            raise self._stranger()
        hint = ""
        if response.status == 401:
            hint = " Name that file with --api-token-file."
        raise CommandFailed(f"{value['error'][:_MAX_REASON]}{hint}")

    def _stranger(self) -> GatewayUnreachable:
        return GatewayUnreachable(
            f"what is at {self.address} does not reply like phpgw's API; say where that is: "
            "--config FILE, as for phpgw serve, or --url URL"
        )


def _has(value: object, fields: Collection[str]) -> bool:
    """Return whether a value is an object with these fields."""
    return isinstance(value, dict) and value.keys() >= {*fields}
