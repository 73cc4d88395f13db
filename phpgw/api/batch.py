"""A batch: commands of PHP's own accord, many at a time, in JSON and with their results in JSON."""

import json
from collections.abc import Sequence
from functools import lru_cache
from typing import TypeVar

from twisted.internet.defer import Deferred

from phpgw.commands import Command, parse_commands
from phpgw.dispatch import Dispatcher
from phpgw.metrics import Metrics
from phpgw.slices import Steps

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

        :returns: a JSON list with the result of each, at once or, where they are for many clients,
            later.
        :raises phpgw.commands.InvalidCommand: if it is none; nothing of it has been run then.
        :raises TooManyBatches: if it has to wait; nothing of it has been run then.
        """
        commands = parse_commands(text, has_sender=False)
        if not self._dispatcher.is_long(commands):
            return self._run(commands)
        slices = self._dispatcher.slices
        if slices.is_full or self._bytes > _MOST_BYTES:
            raise TooManyBatches
        self._bytes += len(text)
        return slices.run(self._steps(commands)).addBoth(self._over, len(text))

    def run_at_once(self, text: bytes) -> bytes | None:
        """Run a JSON list of commands, unless that would take long; nothing has been run then.

        :raises phpgw.commands.InvalidCommand: if it is none.
        """
        commands = parse_commands(text, has_sender=False)
        return None if self._dispatcher.is_long(commands) else self._run(commands)

    def _run(self, commands: Sequence[Command]) -> bytes:
        results = self._dispatcher.run_now(commands)
        self._metrics.pushes_delivered += 1
        return _as_list([_as_json(each.delivered, each.error) for each in results])

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
