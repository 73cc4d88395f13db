"""A batch: commands of PHP's own accord, many at a time, in JSON and with their results in JSON."""

import json
from collections.abc import Sequence
from functools import lru_cache
from typing import TypeVar

from twisted.internet.defer import Deferred

from phpgw.hub.command_parser import LONG_TEXT, parse_commands, parse_slowly
from phpgw.hub.commands import Command
from phpgw.hub.dispatch import Dispatcher
from phpgw.metrics import Metrics
from phpgw.time_slices import Steps

T = TypeVar("T")

# Bytes that all long batches together may have, beside the last one.
_MOST_BYTES = 8_000_000


class TooManyBatches(Exception):
    """So many long batches are under way that another one has to wait."""


class Batches:
    """Runs batches."""

    def __init__(self, dispatcher: Dispatcher, metrics: Metrics) -> None:
        self._dispatcher = dispatcher
        self._metrics = metrics
        self._bytes = 0

    def run(self, text: bytes) -> bytes | Deferred[bytes]:
        """Run a JSON list of commands.

        :returns: a JSON list with the result of each, at once or, where they are many or for many
            clients, later.
        :raises phpgw.hub.commands.InvalidCommand: if it is none, or fails with that;
            nothing of it has been run then.
        :raises TooManyBatches: if it has to wait; nothing of it has been run then.
        """
        if len(text) > LONG_TEXT:
            return self._start(self._read_and_run(text), len(text))
        commands = parse_commands(text, has_sender=False)
        if self._dispatcher.is_long(commands):
            return self._start(self._steps(commands), len(text))
        return self._run(commands)

    def run_to_completion(self, text: bytes) -> bytes | None:
        """Run a JSON list of commands, unless that would take long; nothing has been run then.

        :raises phpgw.hub.commands.InvalidCommand: if it is none.
        """
        if len(text) > LONG_TEXT:
            return None
        commands = parse_commands(text, has_sender=False)
        return None if self._dispatcher.is_long(commands) else self._run(commands)

    def _run(self, commands: Sequence[Command]) -> bytes:
        results = self._dispatcher.run_now(commands)
        self._metrics.pushes_delivered += 1
        return _as_list([_as_json(each.delivered, each.error) for each in results])

    def _start(self, steps: Steps[bytes], size: int) -> Deferred[bytes]:
        slices = self._dispatcher.slices
        if slices.is_full or self._bytes > _MOST_BYTES:
            raise TooManyBatches
        self._bytes += size
        return slices.run(steps).addBoth(self._over, size)

    def _read_and_run(self, text: bytes) -> Steps[bytes]:
        commands = yield from parse_slowly(text, has_sender=False)
        return (yield from self._steps(commands))

    def _steps(self, commands: Sequence[Command]) -> Steps[bytes]:
        results = yield from self._dispatcher.steps_of_all(commands)
        texts = []
        for each in results:
            texts.append(_as_json(each.delivered, each.error))
            yield
        self._metrics.pushes_delivered += 1
        return _as_list(texts)

    def _over(self, outcome: T, size: int) -> T:
        self._bytes -= size
        return outcome


def _as_list(texts: Sequence[str]) -> bytes:
    return f"[{', '.join(texts)}]\n".encode()


# Most are alike.
@lru_cache(maxsize=256)
def _as_json(delivered: int, error: str | None) -> str:
    result = {"delivered": delivered}
    return json.dumps(result if error is None else {**result, "error": error})
