"""Tests for :mod:`phpgw.feed.subscription`."""

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from phpgw.feed.subscription import (
    EventFilter,
    InvalidSubscription,
    Subscription,
    parse_subscription,
)
from tests.support.event_reports import event_report


class ParseTests(SynchronousTestCase):
    def test_valid(self) -> None:
        for message, expected in (
            (b"{}", Subscription()),
            (b'{"stats": true, "events": null}', Subscription(stats=True)),
            (b'{"events": {}}', Subscription(events=EventFilter())),
            (
                b'{"events": {"client_id": "a", "user": null, "outcome": "failed"}}',
                Subscription(events=EventFilter(client_id="a", outcome="failed")),
            ),
        ):
            self.assertEqual(parse_subscription(message), expected)

    def test_invalid(self) -> None:
        for message in (
            *(b"", b"\xff", b"[]", b"1", b"[" * 100_000, b'{"stats": 1}', b'{"event": {}}'),
            *(b'{"events": []}', b'{"events": {"user": 42}}', b'{"events": {"path": "/"}}'),
            *(b'{"events": {"type": "message"}}', b'{"events": {"outcome": ""}}'),
        ):
            self.assertRaises(InvalidSubscription, parse_subscription, message)


class FilterTests(SynchronousTestCase):
    def matches(self, **wanted: Any) -> bool:
        """Whether an event is wanted: a failed message of client a, user 42, group room-1."""
        report = event_report(client_id="a", user="42", outcome="failed")
        groups = {"a": ("room-1",)}
        return EventFilter(**wanted).matches(report, lambda client_id: groups[client_id])

    def test_each_field(self) -> None:
        self.assertTrue(self.matches())
        for name, right, wrong in (
            ("client_id", "a", "b"),
            ("user", "42", "43"),
            ("group", "room-1", "room-2"),
            ("type", "server", "connect"),
            ("outcome", "failed", "replied"),
        ):
            self.assertTrue(self.matches(**{name: right}), name)
            self.assertFalse(self.matches(**{name: wrong}), name)
        self.assertFalse(self.matches(client_id="a", user="43"))
