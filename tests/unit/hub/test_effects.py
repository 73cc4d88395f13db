"""Tests for :mod:`phpgw.hub.effects`."""

from twisted.trial.unittest import SynchronousTestCase

from phpgw.hub.commands import (
    AppliedCommand,
    Bind,
    Close,
    Join,
    Leave,
    SetState,
    Target,
    Unbind,
)
from phpgw.hub.effects import Effects
from phpgw.hub.registry import Registry
from tests.support.fakes import fake_client

_TO = Target("sender")


class EffectTests(SynchronousTestCase):
    def setUp(self) -> None:
        registry = Registry()
        self.client, self.connection = fake_client("a")
        registry.add(self.client)
        self.effects = Effects(registry, max_groups=1)

    def apply(self, command: AppliedCommand) -> str | None:
        return self.effects.of(command)(self.client)

    def test_groups(self) -> None:
        """A client may be in so many groups, and again in one that it is in already."""
        self.assertIsNone(self.apply(Join(_TO, "g")))
        self.assertIsNone(self.apply(Join(_TO, "g")))
        self.assertIn("--max-groups", str(self.apply(Join(_TO, "h"))))
        self.assertEqual({"g"}, self.client.groups)
        self.assertIsNone(self.apply(Leave(_TO, "g")))
        self.assertEqual(frozenset(), self.client.groups)

    def test_user(self) -> None:
        self.apply(Bind(_TO, "42"))
        self.assertEqual("42", self.client.identity.user)
        self.apply(Unbind(_TO))
        self.assertIsNone(self.client.identity.user)

    def test_state(self) -> None:
        """An empty state is none."""
        self.apply(SetState(_TO, "s"))
        self.assertEqual("s", self.client.identity.state)
        self.apply(SetState(_TO, ""))
        self.assertIsNone(self.client.identity.state)

    def test_close(self) -> None:
        self.apply(Close(_TO, 4000, "r"))
        self.assertEqual((4000, "r"), self.connection.closed)
