"""What a message, a push and a handshake cost, in calls and blocks of memory: never more than here.

No clock is involved, so that the counts are the same on each machine. If a test fails, it prints
what has grown since :data:`BASELINE` was recorded. CONTRIBUTING.rst, "What a message costs", says
what to do then.
"""

import json
import sys
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any
from unittest import SkipTest

import attrs
from twisted.trial.unittest import SynchronousTestCase

from phpgw.history.rules import parse_pattern_rule
from tests.support.cost_scenarios import BASELINE, SCENARIOS, Cost, calls_of, count, round_trip
from tests.support.costs import Calls
from tests.support.in_memory_gateway import Road


@attrs.frozen
class Ceiling:
    """The most that something may cost.

    :ivar own: calls of Python functions of phpgw.
    :ivar c: calls of functions written in C, from functions of phpgw.
    :ivar library: calls of Python functions of libraries.
    :ivar blocks: blocks of memory.
    """

    own: int
    c: int
    library: int
    blocks: int


# As ``make costs`` prints them, on Python 3.11: a little above what it counts.
CEILINGS = {
    "round trip, FastCGI": Ceiling(88, 77, 34, 207),
    "round trip, own PHP-FPM": Ceiling(90, 77, 34, 208),
    "round trip, HTTP": Ceiling(80, 54, 25, 163),
    "push, fast path": Ceiling(23, 27, 10, 64),
    "push, resource": Ceiling(124, 99, 172, 478),
    "batch of 10": Ceiling(144, 171, 25, 299),
    "broadcast to 100": Ceiling(74, 49, 130, 502),
    "handshake": Ceiling(123, 169, 24, 415),
    "hang-up": Ceiling(22, 11, 15, 48),
    "hang-up, disconnect events": Ceiling(120, 238, 22, 298),
    "handshake, connect events": Ceiling(314, 373, 300, 1168),
}

# With these settings, a message costs the least. All else that can be turned off is off by default.
_ALL_OFF: dict[str, Any] = {
    "max_message_rate": 0,
    "ping_interval": 0.0,
    "hide_php_errors": False,
    "breaker_failures": 0,
    "message_timeout": 0.0,
    "max_fragments": 0,
    "max_connections": 0,
    "max_connections_per_address": 0,
}


@attrs.frozen
class Feature:
    """What an option adds to the cost of a message.

    :ivar settings: turn it on.
    :ivar own: calls of our own Python functions, at most.
    :ivar c: calls of functions written in C, at most.
    :ivar is_default: whether it is on by default.
    """

    settings: dict[str, Any]
    own: int = 0
    c: int = 0
    is_default: bool = False


FEATURES = {
    # A token is taken from the client's bucket.
    "rate limit": Feature({"max_message_rate": 500}, own=1, is_default=True),
    "ping": Feature({"ping_interval": 25.0}, is_default=True),
    "hiding PHP's errors": Feature({"hide_php_errors": True}, is_default=True),
    # Two more parameters, and an HMAC.
    "signature": Feature({}, own=3, c=11),
    "circuit breaker": Feature({"breaker_failures": 10}),
    "message timeout": Feature({"message_timeout": 60.0}),
    "limit of fragments": Feature({"max_fragments": 1024}),
    "limit of connections": Feature({"max_connections": 1000}),
    "limit for each address": Feature({"max_connections_per_address": 100}),
    "idle timeout": Feature({"idle_timeout": 60.0}),
    "maximum age": Feature({"max_connection_age": 3600.0}),
    # The reply is compressed, once for all clients with the same window.
    "compression": Feature({"compression": True}, own=4, c=13),
    "connect events": Feature({"events": frozenset({"connect"})}),
    "disconnect events": Feature({"events": frozenset({"disconnect"})}),
    "random ids": Feature({"client_id": "random"}),
    "subprotocols": Feature({"subprotocol": ("chat",)}),
    "headers for PHP": Feature({"forward_header": ("user-agent",)}),
    "skipping empty replies": Feature({"skip_empty_replies": True}),
    "closing on errors": Feature({"on_error": "close"}),
    "history": Feature({"history": (parse_pattern_rule("*=10,1m"),)}),
}


class CostTests(SynchronousTestCase):
    def test_calls(self) -> None:
        """Nothing makes more calls than its ceiling allows."""
        self.assertEqual([*CEILINGS], [*SCENARIOS])
        baseline = _read_baseline()
        excesses = [
            excess
            for name, ceiling in CEILINGS.items()
            for excess in _excesses(name, _cost(name).calls, ceiling, baseline[name])
        ]
        if excesses:
            self.fail("\n".join(excesses))

    def test_blocks(self) -> None:
        """Nothing allocates more blocks of memory than its ceiling allows."""
        if sys.gettrace() is not None:
            raise SkipTest("what traces the test allocates, too")
        for name, ceiling in CEILINGS.items():
            self.assertLessEqual(_cost(name).blocks, ceiling.blocks, name)

    def test_garbage(self) -> None:
        """Nothing leaves objects that only the garbage collector can free."""
        self.assertEqual({}, {name: n for name in SCENARIOS if (n := _cost(name).garbage)})

    def test_again(self) -> None:
        """The same costs the same."""
        for name in ("round trip, HTTP", "handshake"):
            self.assertEqual(_cost(name).calls, calls_of(SCENARIOS[name]()), name)

    def test_what_is_printed(self) -> None:
        """It is named what has grown, and nothing else."""
        cost = _cost("handshake").calls
        recorded = Calls(cost.own.copy(), cost.c, cost.library)
        function = max(cost.own)
        del recorded.own[function]
        [text] = _excesses("handshake", cost, Ceiling(1, 1000, 1000, 0), recorded)
        self.assertEqual(
            f"handshake: {cost.own.total()} calls of our own functions; the ceiling is 1\n"
            f"  {cost.own[function]:+} {function} ({cost.own[function]} in all)",
            text,
        )

    def test_features(self) -> None:
        """A feature costs a message what is written here, and nothing where it is off."""
        secret = Path(self.mktemp())
        secret.write_text("x" * 32)
        roads: tuple[Road, ...] = ("FastCGI", "HTTP")
        for road in roads:
            bare = calls_of(round_trip(road, **_ALL_OFF))
            for name, feature in FEATURES.items():
                settings = {**_ALL_OFF, **feature.settings}
                if name == "signature":
                    settings["secret_file"] = secret
                calls = calls_of(round_trip(road, **settings))
                self._compare(f"{name}, {road}", bare, calls, [feature])

    def test_defaults(self) -> None:
        """By default, a message costs what the features add that are on by default."""
        bare = calls_of(round_trip(**_ALL_OFF))
        features = [feature for feature in FEATURES.values() if feature.is_default]
        self._compare("the defaults", bare, _cost("round trip, FastCGI").calls, features)

    def _compare(self, name: str, bare: Calls, calls: Calls, features: list[Feature]) -> None:
        ceiling = Ceiling(
            own=bare.own.total() + sum(feature.own for feature in features),
            c=bare.c.total() + sum(feature.c for feature in features),
            library=sys.maxsize,
            blocks=sys.maxsize,
        )
        self.assertEqual("", "\n".join(_excesses(name, calls, ceiling, bare)))


@cache
def _cost(name: str) -> Cost:
    return count(SCENARIOS[name]())


def _read_baseline() -> dict[str, Calls]:
    return {
        name: Calls(**{kind: Counter(calls) for kind, calls in kinds.items()})
        for name, kinds in json.loads(BASELINE.read_text()).items()
    }


def _excesses(name: str, calls: Calls, ceiling: Ceiling, recorded: Calls) -> Iterator[str]:
    """Yield what there is too much of, with what has grown since it was recorded."""
    for what, counted, before, most in (
        ("calls of our own functions", calls.own, recorded.own, ceiling.own),
        ("C calls by our own functions", calls.c, recorded.c, ceiling.c),
        ("calls of libraries", calls.library, recorded.library, ceiling.library),
    ):
        if counted.total() > most:
            grown = "".join(
                f"\n  {number:+} {place} ({counted[place]} in all)"
                for place, number in (counted - before).items()
            )
            yield f"{name}: {counted.total()} {what}; the ceiling is {most}{grown}"
