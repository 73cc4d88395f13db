"""``/groups/NAME/history``: the last messages to a group, and those that somebody has missed."""

import re
from base64 import b64encode
from collections.abc import Mapping
from functools import partial

from twisted.internet.defer import Deferred
from twisted.web.server import Request

from phpgw.api.access import AccessControl
from phpgw.api.json_resource import JsonResource, query_parameters
from phpgw.api.pagination import DEFAULT_LIMIT, MAX_LIMIT, encode_value, respond_in_steps
from phpgw.history.interface import History, HistoryEntry, HistoryPage, Position
from phpgw.hub.command_fields import name
from phpgw.hub.commands import InvalidCommand
from phpgw.time_slices import Steps, TimeSlices
from phpgw.web.response import HttpError

_OFFSET = re.compile("[0-9]{1,15}")
_LIMIT = re.compile("[0-9]{1,4}")
_MAX_EPOCH = 64


class HistoryResource(JsonResource):
    """The last messages to a group; with ``after`` and ``epoch``, those behind that position.

    :param slices: writes what is long.
    :param group: the group's name, which need not have clients or messages.
    """

    def __init__(
        self, access: AccessControl, history: History, slices: TimeSlices, group: str
    ) -> None:
        super().__init__(access)
        self._history = history
        self._slices = slices
        self._group = group

    def render_GET(self, request: Request) -> bytes | Deferred[bytes]:
        """Respond with the messages, and where to read on."""
        parameters = query_parameters(request, "limit", "after", "epoch")
        limit = _read_limit(parameters)
        position = _read_position(parameters)
        try:
            group = name(self._group, "group")
        except InvalidCommand as error:
            raise HttpError(404, f"no group can have this name: {error.problem}") from None
        if position is None:
            page = self._history.last(group, limit)
        else:
            page = self._history.after(group, position, limit)
        if isinstance(page, Deferred):
            return page.addCallback(partial(self._respond, request))
        return self._respond(request, page)

    def _respond(self, request: Request, page: HistoryPage) -> bytes | Deferred[bytes]:
        return respond_in_steps(request, self._slices, _page_text(page), len(page.entries))


def _read_limit(parameters: Mapping[str, str]) -> int:
    limit = parameters.get("limit", str(DEFAULT_LIMIT))
    if not _LIMIT.fullmatch(limit) or int(limit) > MAX_LIMIT:
        raise HttpError(400, f"limit: expected a number from 0 to {MAX_LIMIT}")
    return int(limit)


def _read_position(parameters: Mapping[str, str]) -> Position | None:
    if "after" not in parameters and "epoch" not in parameters:
        return None
    if "after" not in parameters or "epoch" not in parameters:
        raise HttpError(400, "after and epoch: expected both, or none; an offset is of one epoch")
    after, epoch = parameters["after"], parameters["epoch"]
    if not _OFFSET.fullmatch(after):
        raise HttpError(400, "after: expected an offset, a whole number")
    if len(epoch) > _MAX_EPOCH:
        raise HttpError(400, f"epoch: expected at most {_MAX_EPOCH} characters")
    return Position(int(after), epoch)


def _page_text(page: HistoryPage) -> Steps[bytes]:
    messages = []
    for each in page.entries:
        messages.append(encode_value(_message_object(each)))
        yield
    parts = (
        f'"messages": [{", ".join(messages)}]',
        f'"gap": {encode_value(page.has_gap)}',
        f'"more": {encode_value(page.has_more)}',
        f'"offset": {page.position.offset}',
        f'"epoch": {encode_value(page.position.epoch)}',
    )
    return f"{{{', '.join(parts)}}}\n".encode()


def _message_object(entry: HistoryEntry) -> dict[str, object]:
    if entry.is_binary:
        return {"offset": entry.offset, "data": b64encode(entry.message).decode()}
    return {"offset": entry.offset, "message": entry.message.decode()}
