"""Batches: lists of commands in JSON, and their results in JSON."""

import json
from collections.abc import Sequence
from functools import lru_cache
from typing import TypeVar

from twisted.internet.defer import Deferred

from phpgw.history.interface import GroupPosition
from phpgw.hub.command_parser import LONG_TEXT, parse_commands, parse_in_steps
from phpgw.hub.commander import Commander, Result
from phpgw.time_slices import Steps, TimeSlices, TooManyJobs

T = TypeVar("T")

# How many bytes all long batches together may have, without the last one.
_MAX_BYTES = 8_000_000
# So many results are written at once.
_MAX_AT_ONCE = 500


class Batches:
    """Reads batches, has them carried out, and writes their results.

    :param slices: reads long batches, and writes long results.
    """

    def __init__(self, commander: Commander, slices: TimeSlices) -> None:
        self._commander = commander
        self._slices = slices
        self._bytes = 0

    def run(self, text: bytes) -> bytes | Deferred[bytes]:
        """Run a JSON list of commands.

        :returns: a JSON list with the result of each command.
        :raises phpgw.hub.commands.InvalidCommand: if it is not a list of valid commands, or fails
            with that; nothing of it has been run then.
        :raises TooManyJobs: if it is long, and too much runs already, or fails with that; nothing
            of it has been run then.
        """
        if len(text) > LONG_TEXT:
            self._check_room()
            reading = self._slices.run(parse_in_steps(text, has_sender=False))
            return self._finish(reading.addCallback(self._commander.run_batch), len(text))
        commands = parse_commands(text, has_sender=False)
        results = self._commander.run_batch_at_once(commands)
        if results is not None:
            return _as_json(results)
        self._check_room()
        later = self._commander.run_batch(commands)
        if isinstance(later, Deferred):
            return self._finish(later, len(text))
        return _as_json(later)

    def run_to_completion(self, text: bytes) -> bytes | None:
        """Run a JSON list of commands, unless it takes long: ``None``, and nothing has been run.

        :raises phpgw.hub.commands.InvalidCommand: if it is not a list of valid commands.
        """
        if len(text) > LONG_TEXT:
            return None
        results = self._commander.run_batch_at_once(parse_commands(text, has_sender=False))
        return None if results is None else _as_json(results)

    def _check_room(self) -> None:
        if self._slices.is_full or self._bytes > _MAX_BYTES:
            raise TooManyJobs

    def _finish(self, results: Deferred[list[Result]], size: int) -> Deferred[bytes]:
        self._bytes += size
        texts: Deferred[bytes] = results.addCallback(self._as_json_later)
        return texts.addBoth(self._release, size)

    def _as_json_later(self, results: Sequence[Result]) -> bytes | Deferred[bytes]:
        if len(results) <= _MAX_AT_ONCE:
            return _as_json(results)
        return self._slices.run(_as_json_steps(results))

    def _release(self, outcome: T, size: int) -> T:
        self._bytes -= size
        return outcome


def _as_json(results: Sequence[Result]) -> bytes:
    return _as_list(
        [
            _as_object(each.delivered, each.error, each.positions, each.is_unknown)
            for each in results
        ]
    )


def _as_json_steps(results: Sequence[Result]) -> Steps[bytes]:
    texts = []
    for each in results:
        texts.append(_as_object(each.delivered, each.error, each.positions, each.is_unknown))
        yield
    return _as_list(texts)


def _as_list(texts: Sequence[str]) -> bytes:
    return f"[{', '.join(texts)}]\n".encode()


# Most results are alike.
@lru_cache(maxsize=256)
def _as_object(
    delivered: int, error: str | None, positions: Sequence[GroupPosition], is_unknown: bool
) -> str:
    result: dict[str, object] = {"delivered": delivered}
    if error is not None:
        result["error"] = error
    if positions:
        result["positions"] = [
            {"group": each.group, "offset": each.position.offset, "epoch": each.position.epoch}
            for each in positions
        ]
    if is_unknown:
        result["unknown"] = True
    return json.dumps(result)
