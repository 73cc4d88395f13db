"""Tests for :mod:`phpgw.backend.weak_cache`."""

import gc

from twisted.trial.unittest import SynchronousTestCase

from phpgw.backend.event import Handshake, Identity
from phpgw.backend.weak_cache import WeakCache
from tests.support.fakes import handshake, identity


class MemoTests(SynchronousTestCase):
    def test_made_once(self) -> None:
        made: list[Identity] = []
        memo = WeakCache(made.append)
        first, second = identity(), identity()
        for who in (first, second, first, second):
            memo(who)
        self.assertEqual([first, second], made)

    def test_not_by_value(self) -> None:
        """Handshakes that are alike are still of two clients."""
        memo: WeakCache[Handshake, object] = WeakCache(lambda _: object())
        first, second = handshake(), handshake()
        self.assertEqual(first, second)
        self.assertIsNot(memo(first), memo(second))
        self.assertIs(memo(first), memo(first))

    def test_nothing_is_left(self) -> None:
        """Thousands come and go, some of them at the place of another in memory."""
        memo: WeakCache[Identity, str] = WeakCache(lambda who: who.client_id)
        for number in range(5000):
            self.assertEqual(str(number), memo(identity(str(number))))
        gc.collect()
        self.assertEqual({}, memo._made)
