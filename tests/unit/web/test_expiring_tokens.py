"""Tests for :mod:`phpgw.web.expiring_tokens`."""

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from phpgw.web.expiring_tokens import (
    ExpiringTokens,
    TokenEntry,
    TokenTable,
    new_token,
    token_digest,
)


class ExpiringTokensTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.tokens = ExpiringTokens(60, 3, self.clock.seconds)

    def create(self, value: str) -> str:
        return self.successResultOf(self.tokens.create(value))

    def find(self, token: str) -> str | None:
        return self.tokens.find(token_digest(token.encode()))

    def remove(self, token: str) -> str | None:
        return self.successResultOf(self.tokens.remove(token_digest(token.encode())))

    def test_find(self) -> None:
        first, second = self.create("a"), self.create("b")
        self.assertEqual(("a", "b"), (self.find(first), self.find(second)))
        for wrong in ("", first[:-1], first + "x", "\xff", "x" * 10_000):
            self.assertIsNone(self.find(wrong))

    def test_cannot_be_guessed(self) -> None:
        """Each is another one, with 256 random bits, in characters of URLs and cookies."""
        made = {new_token() for _ in range(100)}
        self.assertEqual(100, len(made))
        for token in (*made, self.create("a")):
            self.assertRegex(token, r"\A[A-Za-z0-9_-]{43}\Z")

    def test_expires(self) -> None:
        token = self.create("a")
        self.clock.advance(59.9)
        self.assertEqual("a", self.find(token))
        self.clock.advance(0.1)
        self.assertIsNone(self.find(token))

    def test_remove(self) -> None:
        """A token that is removed is not found, and cannot be removed again."""
        token = self.create("a")
        self.assertEqual("a", self.remove(token))
        self.assertIsNone(self.remove(token))
        self.assertIsNone(self.find(token))

    def test_limit(self) -> None:
        """The oldest one makes room for another."""
        made = [self.create(name) for name in "abcde"]
        self.assertEqual([None, None, "c", "d", "e"], [self.find(token) for token in made])

    def test_expired_cannot_be_removed(self) -> None:
        token = self.create("a")
        self.clock.advance(60)
        self.assertIsNone(self.remove(token))

    def test_observers(self) -> None:
        """They know when a token has ended, by whatever but time."""
        calls: list[int] = []
        self.tokens.observers.append(lambda: calls.append(1))
        tokens = [self.create(name) for name in "abc"]
        self.assertEqual([], calls)
        self.remove(tokens[0])
        self.assertEqual([1], calls)
        self.create("d")
        self.assertEqual([1], calls)
        self.create("e")
        self.assertEqual([1, 1], calls)


class TokenTableTests(SynchronousTestCase):
    def test_entries(self) -> None:
        """What is valid is there, with the time that it has left."""
        clock = Clock()
        table = TokenTable(clock.seconds)
        table.add(TokenEntry("a", "1", 10))
        table.add(TokenEntry("b", "2", 30))
        clock.advance(10)
        self.assertEqual([TokenEntry("b", "2", 20)], [*table.entries()])
