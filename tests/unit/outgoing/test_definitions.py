"""Tests for :mod:`phpgw.outgoing.definitions`."""

from twisted.trial.unittest import SynchronousTestCase

from phpgw.hub.commands import Open, Target
from phpgw.outgoing.definitions import read_definition, write_definition

_FEED = Target("upstream", ("feed",))


class DefinitionTests(SynchronousTestCase):
    def test_round_trip(self) -> None:
        for command in (
            Open(_FEED, "wss://example.com/"),
            Open(_FEED, "ws://é", (("X", "a"), ("X", "b")), ("mqtt",), False, "/s"),
        ):
            self.assertEqual(command, read_definition("feed", write_definition(command)))

    def test_strange(self) -> None:
        for text in (
            *("", "x", "[]", "1", "null", "{}", '{"url": "x"}', "[" * 100_000),
            '{"url":1,"headers":[],"subprotocols":[],"reconnects":true,"latest_by":null}',
            '{"url":"x","headers":[1],"subprotocols":[],"reconnects":true,"latest_by":null}',
            '{"url":"x","headers":[],"subprotocols":1,"reconnects":true,"latest_by":null}',
            '{"url":"x","headers":[],"subprotocols":[],"reconnects":true,"latest_by":1}',
        ):
            self.assertRaises(ValueError, read_definition, "feed", text)
