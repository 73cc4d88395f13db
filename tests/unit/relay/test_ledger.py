"""Tests for :mod:`phpgw.relay.ledger`: what the relay enters, asks, and settles."""

from phpgw.hub.client import Client
from phpgw.relay.relay import Relay
from tests.support.fake_backend import AskedEvent, FakeBackendTestCase
from tests.support.fakes import fake_client


class FakeLedger:
    """Notes what it is told.

    :ivar entered: the clients that are in it.
    :ivar is_in_doubt: to be set by the test.
    """

    def __init__(self) -> None:
        self.entered: list[Client] = []
        self.is_in_doubt = False

    def enter(self, client: Client) -> None:
        if client not in self.entered:
            self.entered.append(client)

    def is_owed(self, client: Client) -> bool:
        return client in self.entered

    def event_id(self, client: Client) -> str:
        return f"event-of-{client.id}"

    def settle(self, client: Client) -> None:
        if client in self.entered:
            self.entered.remove(client)


class LedgerTests(FakeBackendTestCase):
    def use(self, **changes: object) -> None:
        super().use(**changes)
        self.ledger = FakeLedger()
        self.relay = Relay(
            self.clock,
            self.backend,
            self.replies,
            self.relay._policy,
            self.metrics,
            self.ledger,
        )

    def test_until_php_was_told(self) -> None:
        client, _ = self.client("a")
        self.assertEqual([client], self.ledger.entered)
        self.leave(client)
        [asked] = self.backend.asked
        self.assertEqual("event-of-a", asked.event.id)
        self.assertEqual([client], self.ledger.entered)
        asked.reply()
        self.assertEqual([], self.ledger.entered)

    def test_given_up(self) -> None:
        """PHP may have received it, so nobody tells it again."""
        client, _ = self.client("a")
        self.leave(client)
        self.backend.asked[0].break_off()
        self.assertEqual([], self.ledger.entered)
        self.assertEqual(0, self.relay.disconnects_waiting)

    def test_not_reported(self) -> None:
        """Nothing is entered if PHP is told of no disconnects."""
        self.use(reports_disconnects=False)
        client, _ = self.client("a")
        self.leave(client)
        self.assertEqual([], self.ledger.entered)

    def test_while_php_is_asked(self) -> None:
        """PHP may let a client in, and never be told if the gateway dies before it knows."""
        client, _ = fake_client("a")
        self.ask_about(client)
        self.assertEqual([client], self.ledger.entered)
        self.backend.asked[0].reply()
        self.relay.admit(client)
        self.assertEqual([client], self.ledger.entered)

    def test_refused(self) -> None:
        """PHP does not count on a client that it has refused."""
        client, _ = fake_client("a")
        self.ask_about(client)
        self.backend.asked[0].reply(status=403)
        self.relay.disconnect(client, 1006, "")
        self.assertEqual([], self.ledger.entered)
        self.assertEqual(1, len(self.backend.asked))

    def test_told_by_others(self) -> None:
        """PHP is not told again; the next ones have their turn."""
        for name in "abc":
            client, _ = self.client(name)
            if name != "c":
                self.ledger.settle(client)
            self.leave(client)
        self.assertEqual([("disconnect", "c")], self.backend.told())
        self.backend.asked[0].reply()
        self.assertEqual(0, self.relay.disconnects_waiting)
        self.assertEqual(0, self.metrics.disconnects_waiting_now)
        self.successResultOf(self.relay.when_idle())

    def test_in_doubt(self) -> None:
        """PHP is told once it is known that nobody else has done so."""
        client, _ = self.client("a")
        other, _ = self.client("b")
        self.ledger.is_in_doubt = True
        self.leave(client)
        self.leave(other)
        self.clock.pump([0.5] * 100)
        self.assertEqual([], self.backend.asked)
        self.assertEqual(2, self.relay.disconnects_waiting)
        self.backend.at_once = AskedEvent.reply
        self.ledger.is_in_doubt = False
        self.ledger.settle(client)
        self.clock.pump([0.5] * 5)
        self.assertEqual([("disconnect", "b")], self.backend.told())
        self.assertEqual(0, self.relay.disconnects_waiting)
        self.assertEqual([], self.clock.getDelayedCalls())

    def test_adopted(self) -> None:
        """PHP is told of another process's client as of an own one."""
        client, _ = fake_client("z")
        self.ledger.enter(client)
        self.relay.adopt_disconnect(client, 1006, "")
        [asked] = self.backend.asked
        self.assertEqual(("disconnect", 1006), (asked.event.type, asked.event.code))
        asked.reply()
        self.assertEqual([], self.ledger.entered)
