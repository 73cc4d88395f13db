"""Tests for :mod:`phpgw.api.hold`."""

import json
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.support.fakes import REMOTE, Exchange, request_head
from tests.support.in_memory_api import InMemoryApi


class HoldTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.api = InMemoryApi()
        self.hold = self.api.holding.hold
        self.relay = self.api.holding.relay
        self.clock = self.api.holding.clock

    def post(self, target: str) -> Any:
        answer = self.api.ask("POST", target)
        self.assertEqual((answer.status, answer.headers["Content-Type"]), (200, "application/json"))
        return json.loads(answer.body)

    def begin(self, target: str) -> Exchange:
        """A request that may not be answered at once."""
        exchange = Exchange(self.api.root)
        exchange.send(request_head("POST", target))
        return exchange


class HoldTests(HoldTestCase):
    def test_php_works_on_nothing(self) -> None:
        self.assertEqual(self.post("/hold"), {"held": True, "working": 0, "seconds": 60})
        self.assertEqual(self.relay.allowed, [0])

    def test_once_php_works_on_nothing(self) -> None:
        self.relay.running = 1
        exchange = self.begin("/hold")
        self.assertTrue(self.hold.is_held)
        self.clock.advance(2.5)
        self.assertEqual(exchange.transport.value(), b"")
        self.relay.end()
        answer = json.loads(exchange.answer().body)
        self.assertEqual(answer, {"held": True, "working": 0, "seconds": 57.5})

    def test_php_takes_its_time(self) -> None:
        """The answer says how much it works on still."""
        for target, wait in (("/hold", 10), ("/hold?wait=2.5", 2.5), ("/hold?wait=1e9", 60)):
            self.relay.running = 2
            exchange = self.begin(target)
            self.clock.advance(wait - 0.1)
            self.assertEqual(exchange.transport.value(), b"")
            self.clock.advance(0.1)
            self.assertEqual(json.loads(exchange.answer().body)["working"], 2)

    def test_not_waited_for(self) -> None:
        self.relay.running = 1
        exchange = self.begin("/hold?wait=0")
        self.clock.advance(0)
        self.assertEqual(
            json.loads(exchange.answer().body), {"held": True, "working": 1, "seconds": 60}
        )

    def test_for_how_long(self) -> None:
        """No longer than is allowed."""
        for text, seconds in (("30", 30), ("2.5", 2.5), ("1e1", 10), ("1000", 60), ("1e999", 60)):
            self.assertEqual(self.post(f"/hold?seconds={text}")["seconds"], seconds)

    def test_caller_that_leaves(self) -> None:
        self.relay.running = 1
        exchange = self.begin("/hold")
        exchange.transport.clear()
        exchange.hang_up()
        self.relay.end()
        self.clock.advance(10)
        self.assertEqual(exchange.transport.value(), b"")
        self.assertTrue(self.hold.is_held)

    def test_nonsense(self) -> None:
        for target in (
            *("/hold?seconds=0", "/hold?seconds=", "/hold?seconds=-1", "/hold?seconds=nan"),
            *("/hold?seconds=inf", "/hold?seconds=1_0", "/hold?wait=x", "/hold?second=1"),
        ):
            status, _ = self.api.refusal("POST", target)
            self.assertEqual(status, 400, target)
        self.assertFalse(self.hold.is_held)

    def test_gateway_that_stops(self) -> None:
        self.hold.close()
        self.assertEqual(
            self.api.refusal("POST", "/hold"), (503, {"error": "the gateway is about to stop"})
        )

    def test_stranger(self) -> None:
        for target in ("/hold", "/release"):
            self.assertEqual(self.api.refusal("POST", target, peer=REMOTE)[0], 403)
        self.assertFalse(self.hold.is_held)


class ReleaseTests(HoldTestCase):
    def test_held(self) -> None:
        self.hold.begin(30)
        self.assertEqual(self.post("/release"), {"held": False, "working": 0, "seconds": 0})
        self.assertFalse(self.hold.is_held)

    def test_not_held(self) -> None:
        self.assertEqual(self.post("/release"), {"held": False, "working": 0, "seconds": 0})

    def test_nonsense(self) -> None:
        self.assertEqual(self.api.refusal("POST", "/release?now=1")[0], 400)
