"""How PHP pushes messages: the requests that each gateway takes for it."""

import json
from collections.abc import Sequence
from typing import ClassVar
from urllib.parse import urlencode

import attrs

from benchmarks.contest import Unmeasured
from benchmarks.door import status_of
from benchmarks.wrk import FORM, JSON

MESSAGE = "x" * 48


@attrs.frozen
class Requests:
    """Requests that are POSTed in turn.

    :ivar url: of all of them; or its scheme and authority, where each has a path of its own.
    :ivar lines: a body each, or a path, a tab and a body.
    :ivar size: messages in each of them.
    """

    url: str
    lines: Sequence[str]
    content_type: str = FORM
    size: int = 1


@attrs.frozen
class SendApi:
    """The API of the Go gateway: ``/send`` alone, for one message to one client.

    :ivar base_url: without a path.
    :cvar has_broadcast: whether one request can send to all.
    """

    has_broadcast: ClassVar[bool] = False
    base_url: str

    def single(self, ids: Sequence[str]) -> Requests:
        """Return a request for each client."""
        bodies = [urlencode({"client_id": each, "message": MESSAGE}) for each in ids]
        return Requests(f"{self.base_url}/send", bodies)

    def batches(self, ids: Sequence[str], size: int) -> Requests:
        """Return requests with so many messages each, or with one where there are no batches.

        :raises Unmeasured: if the gateway should have them, and has not.
        """
        return self.single(ids)

    def broadcast(self) -> Requests:
        """Return the request that sends to all.

        :raises Unmeasured: if the gateway has none.
        """
        raise Unmeasured("one request cannot send to all")


class CommandsApi(SendApi):
    """The API of phpgw, or as much of it as an older one has."""

    has_broadcast = True

    def batches(self, ids: Sequence[str], size: int) -> Requests:
        url = f"{self.base_url}/commands"
        if status_of(url, "[]", JSON) == 404:
            raise Unmeasured("not there yet: /commands")
        return batches_of_commands(url, ids, size)

    def broadcast(self) -> Requests:
        command = {"op": "send", "to": {"all": True}, "message": MESSAGE}
        by_command = Requests(f"{self.base_url}/commands", [json.dumps([command])], JSON)
        fields = urlencode({"all": "1", "message": MESSAGE})
        for requests in (by_command, Requests(f"{self.base_url}/send", [fields])):
            if status_of(requests.url, requests.lines[0], requests.content_type) == 200:
                return requests
        raise Unmeasured("not there yet: neither /commands nor /send?all=1 sends to all")


def batches_of_commands(url: str, ids: Sequence[str], size: int) -> Requests:
    """Return the requests that phpgw takes."""
    commands = [{"op": "send", "to": {"client": each}, "message": MESSAGE} for each in ids]
    return Requests(url, _rotated(commands, size), JSON, size)


class NchanApi(SendApi):
    """The publisher of Nchan: the channel is in the URL, and the body is the message."""

    has_broadcast = True

    def single(self, ids: Sequence[str]) -> Requests:
        return Requests(
            self.base_url, [f"/publish?channel={each}\t{MESSAGE}" for each in ids], "text/plain"
        )

    def broadcast(self) -> Requests:
        return Requests(f"{self.base_url}/publish?channel=all", [MESSAGE], "text/plain")


class PushpinApi(SendApi):
    """Pushpin's ``/publish/``, which takes a list of messages."""

    has_broadcast = True

    def single(self, ids: Sequence[str]) -> Requests:
        return self.batches(ids, 1)

    def batches(self, ids: Sequence[str], size: int) -> Requests:
        items = [_item(each) for each in ids]
        lines = [f'{{"items": {some}}}' for some in _rotated(items, size)]
        return Requests(f"{self.base_url}/publish/", lines, JSON, size)

    def broadcast(self) -> Requests:
        return Requests(f"{self.base_url}/publish/", [json.dumps({"items": [_item("all")]})], JSON)


def _item(channel: str) -> dict[str, object]:
    return {"channel": channel, "formats": {"ws-message": {"content": MESSAGE}}}


def _rotated(items: Sequence[object], size: int) -> list[str]:
    """As many lists of this size as there are items, each beginning with another one."""
    count = len(items)
    return [json.dumps([items[(first + n) % count] for n in range(size)]) for first in range(count)]
