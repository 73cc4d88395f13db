"""Tests for :mod:`phpgw.asking`."""

from typing import Any

from twisted.internet.defer import CancelledError
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from phpgw.asking import Php
from phpgw.backend import BackendBroken, BackendUnreachable, Event
from phpgw.metrics import Metrics
from tests.fakes import identity
from tests.scripted import Asked, ScriptedBackend

_EVENT = Event("server", b"x", identity())


class PhpTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock: Any = Clock()
        self.metrics = Metrics()
        self.backend = ScriptedBackend()
        self.php = Php(self.clock, self.backend, self.metrics)

    def test_answer(self) -> None:
        asked = self.php.ask(_EVENT)
        [there] = self.backend.asked
        self.assertIs(there.event, _EVENT)
        self.assertIsNone(there.follow)
        self.assertEqual((self.metrics.php_requests, self.metrics.php_requests_now), (1, 1))
        there.reply(b"yes")
        self.assertEqual(self.successResultOf(asked).body, b"yes")
        self.assertEqual((self.metrics.php_requests, self.metrics.php_requests_now), (1, 0))

    def test_asks_again_while_php_is_away(self) -> None:
        """Sooner at first, with the very same event, and the same follower."""
        heads = []
        asked = self.php.ask(_EVENT, lambda head, flow: heads.append(head))
        for index, delay in enumerate((0.1, 0.2, 0.4, 0.8)):
            self.backend.asked[index].refuse()
            self.clock.advance(delay - 0.01)
            self.assertEqual(len(self.backend.asked), index + 1)
            self.clock.advance(0.02)
            self.assertEqual(len(self.backend.asked), index + 2)
        self.assertEqual({there.event for there in self.backend.asked}, {_EVENT})
        self.assertEqual((self.metrics.php_requests, self.metrics.php_requests_now), (1, 1))
        self.assertEqual(self.metrics.php_retries, 4)
        self.backend.asked[4].begin()
        self.assertEqual(len(heads), 1)
        self.backend.asked[4].end()
        self.successResultOf(asked)
        self.assertEqual(self.metrics.php_requests_now, 0)

    def test_not_for_ever(self) -> None:
        self.backend.at_once = Asked.refuse
        asked = self.php.ask(_EVENT)
        self.clock.pump([0.1] * 16)
        self.failureResultOf(asked, BackendUnreachable)
        self.assertEqual(len(self.backend.asked), 5)
        self.assertEqual(self.metrics.php_requests_now, 0)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_what_may_have_reached_php_is_not_tried_again(self) -> None:
        asked = self.php.ask(_EVENT)
        self.backend.asked[0].break_off()
        self.failureResultOf(asked, BackendBroken)
        asked = self.php.ask(_EVENT)
        self.backend.asked[1].refuse()
        self.clock.advance(0.1)
        self.backend.asked[2].break_off()
        self.failureResultOf(asked, BackendBroken)
        self.clock.advance(10)
        self.assertEqual(len(self.backend.asked), 3)
        self.assertEqual(self.metrics.php_requests_now, 0)

    def test_nor_what_nobody_waits_for(self) -> None:
        """Also if that turns out only when the next attempt is due."""
        is_wanted = True
        asked = self.php.ask(_EVENT, is_wanted=lambda: is_wanted)
        self.backend.asked[0].refuse()
        self.clock.advance(0.1)
        self.backend.asked[1].refuse()
        self.clock.advance(0.1)
        is_wanted = False
        self.clock.advance(10)
        self.failureResultOf(asked, BackendUnreachable)
        self.assertEqual(len(self.backend.asked), 2)
        self.assertEqual(self.metrics.php_retries, 1)

    def test_cannot_even_be_asked(self) -> None:
        """It is an answer like any other, not an exception for whoever asks."""

        def fail(asked: Asked) -> None:
            raise ZeroDivisionError

        self.backend.at_once = fail
        self.failureResultOf(self.php.ask(_EVENT), ZeroDivisionError)
        self.assertEqual(self.metrics.php_requests_now, 0)

    def test_cancelled_while_php_works(self) -> None:
        asked = self.php.ask(_EVENT)
        asked.cancel()
        self.assertTrue(self.backend.asked[0].is_cancelled)
        self.failureResultOf(asked, CancelledError)
        self.assertEqual(self.metrics.php_requests_now, 0)

    def test_cancelled_in_between(self) -> None:
        asked = self.php.ask(_EVENT)
        self.backend.asked[0].refuse()
        asked.cancel()
        self.failureResultOf(asked, CancelledError)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(self.metrics.php_requests_now, 0)

    def test_cancelled_while_asked_again(self) -> None:
        asked = self.php.ask(_EVENT)
        self.backend.asked[0].refuse()
        self.clock.advance(0.1)
        asked.cancel()
        self.assertTrue(self.backend.asked[1].is_cancelled)
        self.failureResultOf(asked, CancelledError)
        self.assertEqual(self.metrics.php_requests_now, 0)
