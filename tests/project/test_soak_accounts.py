"""Tests for :mod:`benchmarks.soak.accounts`: what a soak of several nodes lets pass, or not."""

from collections import Counter

from twisted.trial.unittest import SynchronousTestCase

from benchmarks.soak.accounts import Accounts, Push, ToldAccounts
from tests.support.real.told import ToldEvent


def push(delivered: int, **result: object) -> Push:
    made = Push(10.0)
    made.respond(10.1, {"delivered": delivered, **result})
    return made


class PushTests(SynchronousTestCase):
    def complaints(self, made: Push, losses: tuple[float, ...] = (), **received: int) -> list[str]:
        accounts = Accounts([made], losses=[*losses])
        accounts.received[0] = Counter(received)
        return [*accounts.complaints()]

    def test_all_got_it(self) -> None:
        self.assertEqual([], self.complaints(push(2), a=1, b=1))
        self.assertEqual([], self.complaints(push(0)))

    def test_somebody_did_not_get_it(self) -> None:
        """That is wrong, unless a client was lost at that moment."""
        expected = ["push 0, sent at 10.0 s: delivered to 2, and 1 got it"]
        self.assertEqual(expected, self.complaints(push(2), a=1))
        self.assertEqual(expected, self.complaints(push(2), (7.0, 13.0), a=1))
        self.assertEqual([], self.complaints(push(2), (11.0,), a=1))

    def test_more_got_it(self) -> None:
        """That is wrong, whoever was lost; and so is a refusal of what somebody got."""
        self.assertEqual(
            ["push 0, sent at 10.0 s: delivered to 1, and 2 got it"],
            self.complaints(push(1), (10.0,), a=1, b=1),
        )
        self.assertEqual(1, len(self.complaints(push(0), a=1)))

    def test_twice(self) -> None:
        """Nobody may get a message twice, whatever the response was."""
        self.assertEqual(
            ["push 0, sent at 10.0 s: a got it 2 times"],
            self.complaints(push(1, unknown=True), a=2),
        )

    def test_unknown(self) -> None:
        """If it is unknown, or there was no response, it may have reached anybody."""
        for made in (push(1, unknown=True), Push(10.0)):
            self.assertEqual([], self.complaints(made, a=1, b=1))
            self.assertEqual([], self.complaints(made))

    def test_numbers(self) -> None:
        """The outcomes are counted, and what was lost with clients."""
        accounts = Accounts([push(2), push(0), push(3, unknown=True), Push(10.0)], losses=[10.0])
        accounts.received[0] = Counter(a=1)
        self.assertEqual(
            {"delivered": 1, "refused": 1, "unknown": 1, "no response": 1}, accounts.outcomes()
        )
        self.assertEqual(1, accounts.missed())


class ToldTests(SynchronousTestCase):
    def told(self, *disconnects: tuple[str, str]) -> ToldAccounts:
        connects = [ToldEvent("connect", name, "", "", "", "") for name in ("a", "b")]
        events = [ToldEvent("disconnect", name, "1006", id_, "", "") for name, id_ in disconnects]
        return ToldAccounts.of(connects, events)

    def test_once(self) -> None:
        self.assertEqual([], [*self.told(("a", "1"), ("b", "2")).complaints()])

    def test_not_told(self) -> None:
        accounts = self.told(("a", "1"))
        self.assertEqual({"b"}, accounts.missing)
        self.assertEqual(1, len([*accounts.complaints()]))

    def test_again(self) -> None:
        """With the same event id, PHP can tell that it was told before; with another, it cannot."""
        accounts = self.told(("a", "1"), ("a", "1"), ("b", "2"))
        self.assertEqual((1, []), (accounts.repeated, [*accounts.complaints()]))
        accounts = self.told(("a", "1"), ("a", "3"), ("b", "2"))
        self.assertEqual((0, {"a"}), (accounts.repeated, accounts.twice))
