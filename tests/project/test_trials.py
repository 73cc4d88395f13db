"""Tests for :mod:`benchmarks.trials.account`: what an account lets pass, and what it does not."""

from twisted.trial.unittest import SynchronousTestCase

from benchmarks.trials.account import Account, Push


class AccountTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.account = Account()

    def push(self, text: str, delivered: int, is_unknown: bool = False) -> None:
        self.account.pushes.append(Push(text, delivered, is_unknown, 0.1))

    def receive(self, text: str, *clients: str) -> None:
        for client in clients:
            self.account.receive(client, text)

    def assert_wrong(self, *errors: str) -> None:
        self.assertEqual([*errors], [*self.account.errors()])

    def test_true(self) -> None:
        self.push("p 1", 2)
        self.receive("p 1", "a", "b")
        self.push("p 2", 0)
        self.push("p 3", 0, is_unknown=True)
        self.receive("p 3", "a")
        self.push("p 4", 1, is_unknown=True)
        self.receive("p 4", "b")
        self.assert_wrong()
        account = self.account
        self.assertEqual((1, 1, 2), (account.delivered, account.refused, account.unknown))
        self.assertEqual(0.1, account.longest)

    def test_more_or_less_than_told(self) -> None:
        self.push("p 1", 2)
        self.receive("p 1", "a")
        self.push("p 2", 0)
        self.receive("p 2", "a")
        self.push("p 3", 1, is_unknown=True)
        self.assert_wrong(
            "p 1: told 2, and 1 have got it",
            "p 2: told 0, and 1 have got it",
            "p 3: told 1 or more, and 0 have got it",
        )

    def test_twice(self) -> None:
        self.push("p 1", 1)
        self.receive("p 1", "a", "a")
        self.assert_wrong("p 1: came twice to one client")

    def test_order(self) -> None:
        """The messages of one sender are in order; those of others come between."""
        for text in ("p 1", "q 0", "p 2", "q 1"):
            self.push(text, 1)
            self.receive(text, "a")
        self.assert_wrong()
        self.push("p 0", 1)
        self.receive("p 0", "a")
        self.assert_wrong("p 0: came to a after number 2")
