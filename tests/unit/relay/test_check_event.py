"""Tests for :mod:`phpgw.relay.check_event`."""

from twisted.internet.defer import CancelledError, Deferred

from phpgw.backend.errors import BackendUnreachable
from phpgw.relay.check_event import CheckedReply
from tests.support.fake_backend import COMMANDS
from tests.unit.relay.test_relay import RelayTestCase


class CheckEventTests(RelayTestCase):
    def ask(self) -> Deferred[CheckedReply]:
        return self.relay.checks.ask()

    def test_event(self) -> None:
        """It is about nobody, and has nothing of anybody."""
        self.ask()
        [asked] = self.backend.asked
        event = asked.event
        self.assertEqual(("check", b"", ""), (event.type, event.message, event.identity.client_id))
        self.assertEqual((), event.identity.handshake.headers)

    def test_reply(self) -> None:
        """Nobody gets it, and commands in it do not run."""
        _, connection = self.client()
        checked = self.ask()
        self.clock.advance(0.25)
        self.backend.asked[0].reply(
            b'[{"op": "send", "to": {"all": true}, "message": "x"}]', media_type=COMMANDS
        )
        reply = self.successResultOf(checked)
        self.assertEqual((200, 0.25), (reply.reply.head.status, reply.seconds))
        self.assertEqual([], connection.sent)
        self.assert_idle()

    def test_failure(self) -> None:
        """It is tried once, so that the answer is how PHP is now."""
        checked = self.ask()
        self.backend.asked[0].refuse()
        self.failureResultOf(checked, BackendUnreachable)
        self.assertEqual(1, len(self.backend.asked))
        self.assert_idle()

    def test_waits_its_turn(self) -> None:
        clients = [self.client(str(n))[0] for n in range(self.relay.concurrency)]
        for client in clients:
            self.say(client, b"x")
        checked = self.ask()
        self.assertNotIn("check", [asked.event.type for asked in self.backend.asked])
        self.backend.asked[0].reply()
        self.assertEqual("check", self.backend.asked[-1].event.type)
        self.backend.asked[-1].reply()
        self.successResultOf(checked)

    def test_cancelled(self) -> None:
        """It gives its place away, whether it runs or waits."""
        checked = self.ask()
        checked.cancel()
        self.failureResultOf(checked, CancelledError)
        self.assert_idle()
        for n in range(self.relay.concurrency):
            self.say(self.client(str(n))[0], b"x")
        checked = self.ask()
        checked.cancel()
        self.failureResultOf(checked, CancelledError)
        for asked in self.backend.asked[1:]:
            asked.reply()
        self.assert_idle()
