"""A batch: commands of PHP's own accord, many at a time, in JSON and with their results in JSON."""

import json

from phpgw.commands import parse_commands
from phpgw.dispatch import Dispatcher, Result
from phpgw.metrics import Metrics


class Batches:
    """Runs batches."""

    def __init__(self, dispatcher: Dispatcher, metrics: Metrics) -> None:
        self._dispatcher = dispatcher
        self._metrics = metrics

    def run(self, text: bytes) -> bytes:
        """Run a JSON list of commands.

        :returns: a JSON list with the result of each.
        :raises phpgw.commands.InvalidCommand: if it is none; nothing of it has been run then.
        """
        commands = parse_commands(text, has_sender=False)
        results = map(self._dispatcher.run, commands)
        body = f"[{', '.join(map(_as_json, results))}]\n".encode()
        self._metrics.pushes_delivered += 1
        return body


def _as_json(result: Result) -> str:
    # What most results are takes json.dumps four times as long.
    if result.error is None:
        return f'{{"delivered": {result.delivered}}}'
    return json.dumps({"delivered": result.delivered, "error": result.error})
