"""Tests for :mod:`phpgw.relay.failure_list`."""

import json
import time
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from phpgw.relay.failure_list import FailureList, find_excess


def failures(*found: tuple[float, str]) -> FailureList:
    """Return failures, each with its time and its problem, as they come out of a pipe."""
    records = [{"at": at, "problem": problem} for at, problem in found]
    return FailureList.from_json(json.loads(json.dumps(records)))


class FailureListTests(SynchronousTestCase):
    def problems(self, *several: FailureList) -> list[Any]:
        return [each["problem"] for each in FailureList.merge(several).records]

    def test_merged_by_time(self) -> None:
        """The newest is first, whichever process it is of."""
        merged = self.problems(failures((5, "e"), (2, "b")), failures((4, "d"), (1, "a")))
        self.assertEqual(["e", "d", "b", "a"], merged)
        self.assertEqual([], self.problems())

    def test_bounded(self) -> None:
        """Of too many, the oldest ones go; many of one kind do not hide another one."""
        many = failures(*((at, "often") for at in range(200, 100, -1)))
        few = failures((50, "other"), (40, "rare"))
        merged = FailureList.merge([many, many, few]).records
        self.assertEqual(100, len(merged))
        self.assertEqual(["other", "rare"], [each["problem"] for each in merged[-2:]])
        self.assertEqual((200, 152), (merged[0]["at"], merged[97]["at"]))

    def test_excess(self) -> None:
        self.assertEqual(set(), find_excess(["a", "b"], 2))
        self.assertEqual({0}, find_excess(["a", "b", "c"], 2))
        self.assertEqual({1, 2}, find_excess(["a", "b", "b", "c", "b"], 3))
        self.assertEqual({0, 1}, find_excess(["a", "b"], 0))

    def test_linear(self) -> None:
        """Many failures of many workers take no longer than a few milliseconds."""
        many = [failures(*((at, str(at % 50)) for at in range(100))) for _ in range(64)]
        began = time.process_time()
        FailureList.merge(many)
        self.assertLess(time.process_time() - began, 0.5)
