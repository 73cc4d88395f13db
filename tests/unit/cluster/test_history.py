"""Tests for :mod:`phpgw.cluster.history`; :mod:`tests.system.test_engine_history` has a Redis."""

from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from phpgw.cluster.history import EngineHistory
from phpgw.history.interface import HistoryEntry, HistoryPage, Position
from phpgw.history.rules import HistoryRule
from phpgw.hub.directory import NotKnown
from tests.support.memory_bus import MemoryBus, MemoryEngine
from tests.support.memory_history_scripts import add_history_scripts


class EngineHistoryTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock: Any = Clock()
        engine = MemoryEngine(self.clock)
        add_history_scripts(engine)
        self.bus = MemoryBus(engine)
        self.history = EngineHistory(self.bus)
        # The run of the engine that each script was told.
        self.runs: list[bytes] = []
        for n, name in ((4, "publish_kept"), (0, "read_history")):
            self._note_runs(engine, n, name)

    def _note_runs(self, engine: MemoryEngine, n: int, name: str) -> None:
        run = engine.scripts[name]

        def noted(keys: Sequence[bytes], arguments: Sequence[bytes]) -> Any:
            self.runs.append(arguments[n])
            return run(keys, arguments)

        engine.scripts[name] = noted

    def result(self, running: Deferred[Any]) -> Any:
        self.clock.advance(0)
        return self.successResultOf(running)

    def publish(self, message: bytes, is_binary: bool = False) -> Position:
        rules = {"g": HistoryRule(3, 10.0)}
        kept = self.result(self.history.publish(b"c", b"frame", message, is_binary, rules))
        [position] = kept.positions
        self.assertEqual(("g", 0), (position.group, kept.receivers))
        return Position(position.position.offset, position.position.epoch)

    def last(self, limit: int) -> HistoryPage:
        page: HistoryPage = self.result(self.history.last("g", limit))
        return page

    def test_pages(self) -> None:
        first, end = self.publish(b"a"), self.publish(b"\xff", True)
        entries = [HistoryEntry(1, b"a", False), HistoryEntry(2, b"\xff", True)]
        for page, expected in (
            (self.history.last("g", 9), HistoryPage(entries, end, False, False)),
            (self.history.last("g", 1), HistoryPage(entries[1:], end, False, False)),
            (self.history.after("g", first, 9), HistoryPage(entries[1:], end, False, False)),
            (self.history.after("g", end, 9), HistoryPage([], end, False, False)),
            (
                self.history.after("g", Position(0, end.epoch), 1),
                HistoryPage(entries[:1], first, False, True),
            ),
            (
                self.history.after("g", Position(2, "other \udcff"), 9),
                HistoryPage(entries, end, True, False),
            ),
        ):
            self.assertEqual(expected, self.result(page))

    def test_run(self) -> None:
        """The engine is told the run that it has told, until there is another connection."""
        self.publish(b"a")
        self.publish(b"b")
        self.last(1)
        self.bus.lose()
        self.bus.restore()
        self.last(1)
        self.assertEqual([b"", b"run", b"run", b""], self.runs)

    def test_away(self) -> None:
        """Without the engine, nothing is known, and nobody is told that there was no gap."""
        self.bus.lose("Connection refused")
        reading = self.history.last("g", 1)
        self.assertIn("Connection refused", str(self.failureResultOf(reading, NotKnown).value))
