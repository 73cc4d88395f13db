"""Tests for :mod:`phpgw.web.expiring_tokens`."""

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from phpgw.web.expiring_tokens import ExpiringTokens


class ExpiringTokensTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.tokens: ExpiringTokens[str] = ExpiringTokens(60, 3, self.clock.seconds)

    def find(self, token: str) -> str | None:
        return self.tokens.find(token.encode())

    def test_find(self) -> None:
        first, second = self.tokens.create("a"), self.tokens.create("b")
        self.assertEqual(("a", "b"), (self.find(first), self.find(second)))
        for wrong in ("", first[:-1], first + "x", "\xff", "x" * 10_000):
            self.assertIsNone(self.find(wrong))

    def test_cannot_be_guessed(self) -> None:
        """Each is another one, with 256 random bits, in characters of URLs and cookies."""
        made = {self.tokens.create("a") for _ in range(100)}
        self.assertEqual(100, len(made))
        for token in made:
            self.assertRegex(token, r"\A[A-Za-z0-9_-]{43}\Z")

    def test_expires(self) -> None:
        token = self.tokens.create("a")
        self.clock.advance(59.9)
        self.assertEqual("a", self.find(token))
        self.clock.advance(0.1)
        self.assertIsNone(self.find(token))

    def test_remove(self) -> None:
        """A token that is removed is not found, and cannot be removed again."""
        token = self.tokens.create("a").encode()
        self.assertEqual("a", self.tokens.remove(token))
        self.assertIsNone(self.tokens.remove(token))
        self.assertIsNone(self.tokens.find(token))

    def test_limit(self) -> None:
        """The oldest one makes room for another."""
        made = [self.tokens.create(name) for name in "abcde"]
        self.assertEqual([None, None, "c", "d", "e"], [self.find(token) for token in made])

    def test_expired_cannot_be_removed(self) -> None:
        token = self.tokens.create("a").encode()
        self.clock.advance(60)
        self.assertIsNone(self.tokens.remove(token))
