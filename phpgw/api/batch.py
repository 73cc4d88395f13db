"""A batch: commands of PHP's own accord, many at a time, in JSON and with their results in JSON."""

import json
from functools import lru_cache

from phpgw.commands import parse_commands
from phpgw.dispatch import Dispatcher
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
        results = self._dispatcher.run_all(commands)
        body = f"[{', '.join([_as_json(each.delivered, each.error) for each in results])}]\n"
        self._metrics.pushes_delivered += 1
        return body.encode()


# Most are alike.
@lru_cache(maxsize=256)
def _as_json(delivered: int, error: str | None) -> str:
    result = {"delivered": delivered}
    return json.dumps(result if error is None else {**result, "error": error})
