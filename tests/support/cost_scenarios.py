"""The things of which :mod:`tests.unit.test_cost` counts the cost, on a whole gateway in memory.

``make costs`` counts, writes :data:`BASELINE`, and prints the ceilings that belong to it.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import attrs

from tests.support.costs import Calls, count_blocks, count_calls, count_garbage
from tests.support.in_memory_browser import TEXT
from tests.support.in_memory_gateway import REPLY, InMemoryGateway, Road, running_gateway

T = TypeVar("T")

# The calls of each scenario when they were recorded.
BASELINE = Path(__file__).with_name("cost_baseline.json")

BATCH = 10
AUDIENCE = 100
_FORM, _JSON = "application/x-www-form-urlencoded", "application/json"


@attrs.frozen
class Act:
    """A scenario to count.

    :ivar do: does it once.
    :ivar undo: checks that it was done, and has all as it was before; not counted.
    """

    do: Callable[[], object]
    undo: Callable[[], object]


@attrs.frozen
class Cost:
    """The costs of an act; see :mod:`tests.support.costs`."""

    calls: Calls
    blocks: int
    garbage: int

    def totals(self) -> tuple[int, int, int, int]:
        """Return the sums: own calls, C calls, libraries' calls, blocks."""
        calls = self.calls
        return calls.own.total(), calls.c.total(), calls.library.total(), self.blocks


def count(scenario: AbstractContextManager[Act]) -> Cost:
    """Count what the act of a scenario costs, once it has been done some times."""
    with scenario as act:
        _warm_up(act)
        return Cost(
            calls=_least(act, count_calls, Calls.total),
            blocks=_least(act, count_blocks, int),
            garbage=_least(act, count_garbage, int),
        )


def calls_of(scenario: AbstractContextManager[Act]) -> Calls:
    """Count its calls alone."""
    with scenario as act:
        _warm_up(act)
        return _least(act, count_calls, Calls.total)


def _warm_up(act: Act) -> None:
    """Have made what is kept."""
    for _ in range(3):
        act.do()
        act.undo()


def _least(act: Act, measure: Callable[[Callable[[], object]], T], size: Callable[[T], int]) -> T:
    """Measure twice: the second of the day, which is part of responses, may end in between."""
    results = []
    for _ in range(2):
        results.append(measure(act.do))
        act.undo()
    return min(results, key=size)


@contextmanager
def round_trip(road: Road = "FastCGI", **settings: Any) -> Iterator[Act]:
    """Have a message of a browser, and the reply to it."""
    with running_gateway(road, **settings) as gateway:
        yield Act(gateway.round_trip, partial(_expect, gateway, (TEXT, REPLY)))


@contextmanager
def push(path: str, media_type: str, body: bytes, *frames: tuple[int, bytes]) -> Iterator[Act]:
    """Have PHP POST this to the API, with {id} in place of the id of a browser that gets frames."""
    with running_gateway() as gateway:
        yield _posting(gateway, path, media_type, body, *frames)


@contextmanager
def broadcast() -> Iterator[Act]:
    """Have a command that sends a message to many browsers."""
    with running_gateway() as gateway:
        others = [gateway.connect() for _ in range(AUDIENCE - 1)]
        body = b'[{"op": "send", "to": {"all": true}, "message": "news"}]'
        act = _posting(gateway, "/commands", _JSON, body, (TEXT, b"news"))

        def undo() -> None:
            act.undo()
            for browser in others:
                assert browser.frames() == [(TEXT, b"news")]

        yield Act(act.do, undo)


@contextmanager
def handshake(**settings: Any) -> Iterator[Act]:
    """Have one more browser connect."""
    with running_gateway(**settings) as gateway:
        connected = []
        yield Act(lambda: connected.append(gateway.connect()), lambda: connected.pop().hang_up())


@contextmanager
def hang_up(**settings: Any) -> Iterator[Act]:
    """Have a browser's connection end."""
    with running_gateway(**settings) as gateway:
        browsers = [gateway.connect()]

        def undo() -> None:
            gateway.php.reply(b"")
            browsers.append(gateway.connect())

        yield Act(lambda: browsers.pop().hang_up(), undo)


_COMMAND = b'{"op": "send", "to": {"client": "{id}"}, "message": "news"}'

SCENARIOS: dict[str, Callable[[], AbstractContextManager[Act]]] = {
    "round trip, FastCGI": round_trip,
    "round trip, own PHP-FPM": partial(round_trip, "own PHP-FPM"),
    "round trip, HTTP": partial(round_trip, "HTTP"),
    "push, fast path": partial(
        push, "/send", _FORM, b"client_id={id}&message=news", (TEXT, b"news")
    ),
    "push, resource": partial(
        push, "/send", _JSON, b'{"client_id": "{id}", "message": "news"}', (TEXT, b"news")
    ),
    f"batch of {BATCH}": partial(
        push,
        "/commands",
        _JSON,
        b"[" + b", ".join([_COMMAND] * BATCH) + b"]",
        *[(TEXT, b"news")] * BATCH,
    ),
    f"broadcast to {AUDIENCE}": broadcast,
    "handshake": handshake,
    "hang-up": hang_up,
    "hang-up, disconnect events": partial(hang_up, events=frozenset({"disconnect"})),
    "handshake, connect events": partial(handshake, events=frozenset({"connect"})),
}


def _posting(
    gateway: InMemoryGateway, path: str, media_type: str, body: bytes, *frames: tuple[int, bytes]
) -> Act:
    body = body.replace(b"{id}", gateway.client_id.encode())

    def undo() -> None:
        gateway.caller.read_response()
        assert gateway.caller.status == 200, gateway.caller.response
        _expect(gateway, *frames)

    return Act(partial(gateway.post, path, media_type, body), undo)


def _expect(gateway: InMemoryGateway, *frames: tuple[int, bytes]) -> None:
    got = gateway.browser.frames()
    assert got == [*frames], got


def main() -> None:
    """Record the baseline, and print ceilings a little above it."""
    baseline = {}
    for name, scenario in SCENARIOS.items():
        cost = count(scenario())
        baseline[name] = attrs.asdict(cost.calls)
        own, c, library, blocks = cost.totals()
        # Python 3.12 and 3.13 need a few more or less, and so do other versions of libraries.
        ceilings = own + 1 + own // 50, c + 1 + c // 50, library * 9 // 8, blocks * 9 // 8
        print(f"    {json.dumps(name)}: Ceiling{ceilings},")
    BASELINE.write_text(json.dumps(baseline, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
