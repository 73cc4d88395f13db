"""Tests for :mod:`phpgw.relay`."""

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from phpgw.backend import BackendBroken, BackendUnreachable, Event, IBackend, Reply
from phpgw.client import Client, Message
from phpgw.metrics import Metrics
from phpgw.relay import Relay, RelayPolicy
from tests.fakes import FakeConnection, fake_client


@implementer(IBackend)
class ScriptedBackend:
    """Answers when told to.

    :ivar asked: the events handed over, oldest first, with what answers them.
    """

    def __init__(self) -> None:
        self.asked: list[tuple[Event, Deferred[Reply]]] = []
        self._next = 0

    def ask(self, event: Event) -> Deferred[Reply]:
        answer: Deferred[Reply] = Deferred()
        self.asked.append((event, answer))
        return answer

    def messages(self) -> list[bytes]:
        return [event.message for event, _ in self.asked]

    def answer(self, index: int, body: bytes = b"", status: int = 200) -> None:
        self.asked[index][1].callback(Reply(status, body))

    def refuse(self, index: int) -> None:
        self.asked[index][1].errback(BackendUnreachable("refused"))

    def break_off(self, index: int) -> None:
        self.asked[index][1].errback(BackendBroken("cut off"))

    def close(self) -> Deferred[None]:
        return succeed(None)


@implementer(IBackend)
class InstantBackend:
    """Answers, or fails, before ``ask`` returns."""

    def __init__(self, outcome: Callable[[Event], Reply]) -> None:
        self._outcome = outcome

    def ask(self, event: Event) -> Deferred[Reply]:
        try:
            return succeed(self._outcome(event))
        except BackendBroken as error:
            return fail(error)

    def close(self) -> Deferred[None]:
        return succeed(None)


def policy(**changes: object) -> RelayPolicy:
    settings: dict[str, object] = {"concurrency": 8, "inbox_count": 4, "inbox_size": 1000}
    return RelayPolicy(**{**settings, **changes})  # type: ignore[arg-type]


class RelayTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock: Any = Clock()
        self.backend = ScriptedBackend()
        self.metrics = Metrics()
        self.use(policy())

    def use(self, relay_policy: RelayPolicy) -> None:
        self.relay = Relay(self.clock, self.backend, relay_policy, self.metrics)

    def client(self, client_id: str = "192.0.2.1:5000") -> tuple[Client, FakeConnection]:
        return fake_client(client_id)

    def say(self, client: Client, *payloads: bytes, is_binary: bool = False) -> None:
        for payload in payloads:
            self.relay.receive(client, Message(payload, is_binary))

    def test_event(self) -> None:
        """PHP is told the type, the very bytes and who sent them."""
        client, _ = self.client("[::1]:7")
        self.say(client, b"\x00&=+%", is_binary=True)
        [(event, _)] = self.backend.asked
        self.assertEqual(
            (event.type, event.message, event.is_binary, event.client_id),
            ("server", b"\x00&=+%", True, "[::1]:7"),
        )
        self.assertIs(event.handshake, client.handshake)

    def test_reply_has_the_kind_of_the_message(self) -> None:
        client, connection = self.client()
        self.say(client, b"text")
        self.say(client, b"\xff", is_binary=True)
        self.backend.answer(0, b"a")
        self.backend.answer(1, b"\xfe")
        self.assertEqual(connection.sent, [(b"a", False), (b"\xfe", True)])

    def test_one_at_a_time_in_order(self) -> None:
        client, connection = self.client()
        self.say(client, b"1", b"2", b"3")
        self.assertEqual(self.backend.messages(), [b"1"])
        for index, body in enumerate([b"one", b"two", b"three"]):
            self.backend.answer(index, body)
        self.assertEqual(self.backend.messages(), [b"1", b"2", b"3"])
        self.assertEqual([body for body, _ in connection.sent], [b"one", b"two", b"three"])

    def test_clients_side_by_side_up_to_concurrency(self) -> None:
        self.use(policy(concurrency=2))
        for number in range(3):
            self.say(self.client(str(number))[0], b"%d" % number)
        self.assertEqual(self.backend.messages(), [b"0", b"1"])
        self.backend.answer(1)
        self.assertEqual(self.backend.messages(), [b"0", b"1", b"2"])

    def test_nobody_starves(self) -> None:
        """A client with much to say lets the others have their turn between its messages."""
        self.use(policy(concurrency=1))
        eager, _ = self.client("eager")
        modest, _ = self.client("modest")
        self.say(eager, b"e1", b"e2", b"e3")
        self.say(modest, b"m1")
        for index in range(4):
            self.backend.answer(index)
        self.assertEqual(self.backend.messages(), [b"e1", b"m1", b"e2", b"e3"])

    def test_full_inbox_stops_reading_until_there_is_room(self) -> None:
        client, connection = self.client()
        self.say(client, b"1", b"2", b"3", b"4")
        self.assertFalse(connection.paused)
        self.say(client, b"5")
        self.assertTrue(connection.paused)
        self.backend.answer(0)
        self.assertFalse(connection.paused)

    def test_bytes_that_wait_are_bounded_too(self) -> None:
        client, connection = self.client()
        self.say(client, b"first", b"x" * 999)
        self.assertFalse(connection.paused)
        self.say(client, b"y")
        self.assertTrue(connection.paused)

    def test_no_content_sends_nothing(self) -> None:
        client, connection = self.client()
        self.say(client, b"1")
        self.backend.answer(0, status=204)
        self.assertEqual(connection.sent, [])

    def test_empty_reply_is_an_empty_message(self) -> None:
        client, connection = self.client()
        self.say(client, b"1")
        self.backend.answer(0)
        self.assertEqual(connection.sent, [(b"", False)])

    def test_empty_reply_skipped(self) -> None:
        self.use(policy(skip_empty_replies=True))
        client, connection = self.client()
        self.say(client, b"1")
        self.backend.answer(0)
        self.assertEqual(connection.sent, [])

    def test_error_pages_never_reach_a_browser(self) -> None:
        client, connection = self.client()
        self.say(client, b"1", b"2", b"3", b"4")
        for index, status in enumerate((302, 404, 500)):
            self.backend.answer(index, b"<h1>Oops</h1>", status)
        self.backend.answer(3, b"fine")
        self.assertEqual(connection.sent, [(b"fine", False)])
        self.assertEqual(self.metrics.php_failures, 3)

    def test_failure_is_logged_with_the_client(self) -> None:
        client, _ = self.client("192.0.2.7:1")
        self.say(client, b"secret words")
        with capturedLogs() as events:
            self.backend.break_off(0)
        [event] = events
        self.assertEqual((event["client_id"], event["reason"]), ("192.0.2.7:1", "cut off"))
        self.assertNotIn("secret words", repr(event))

    def test_on_error_reply(self) -> None:
        self.use(policy(on_error="reply", error_reply=b"sorry"))
        client, connection = self.client()
        self.say(client, b"\x01", is_binary=True)
        self.backend.break_off(0)
        self.assertEqual(connection.sent, [(b"sorry", False)])

    def test_on_error_close(self) -> None:
        self.use(policy(on_error="close"))
        client, connection = self.client()
        self.say(client, b"1")
        self.backend.answer(0, b"error page", 500)
        self.assertEqual(connection.closed, (1011, "the message could not be handled"))

    def test_text_reply_has_to_be_utf8(self) -> None:
        """A browser would drop the connection at a text message that is not UTF-8."""
        client, connection = self.client()
        self.say(client, b"1", b"2")
        self.backend.answer(0, b"caf\xe9")
        self.backend.answer(1, "café".encode())
        self.assertEqual(connection.sent, [("café".encode(), False)])
        self.assertEqual(self.metrics.php_failures, 1)

    def test_client_that_left_is_not_answered(self) -> None:
        client, connection = self.client()
        self.say(client, b"1", b"2")
        self.relay.forget(client)
        self.backend.answer(0, b"late")
        self.assertEqual(connection.sent, [])
        self.assertEqual(self.backend.messages(), [b"1"])
        self.assertEqual(self.metrics.replies_without_client, 1)

    def test_client_that_left_while_waiting_never_reaches_php(self) -> None:
        self.use(policy(concurrency=1))
        first, _ = self.client("first")
        second, _ = self.client("second")
        third, _ = self.client("third")
        for client in (first, second, third):
            self.say(client, client.id.encode())
        self.relay.forget(second)
        self.backend.answer(0)
        self.assertEqual(self.backend.messages(), [b"first", b"third"])

    def test_many_instant_answers_do_not_nest(self) -> None:
        def refuse(event: Event) -> Reply:
            raise BackendBroken("refused")

        relay = Relay(self.clock, InstantBackend(refuse), policy(concurrency=1), self.metrics)
        client, _ = self.client()
        client.inbox.extend(Message(b"%d" % number) for number in range(5000))
        relay.receive(client, Message(b"last"))
        self.assertEqual(self.metrics.php_failures, 5001)

    def test_waits_for_php_that_restarts(self) -> None:
        """A message that never reached PHP is tried again for a moment."""
        client, connection = self.client()
        self.say(client, b"1", b"2")
        self.backend.refuse(0)
        self.assertEqual(self.backend.messages(), [b"1"])
        self.clock.advance(0.1)
        self.backend.refuse(1)
        self.clock.advance(0.2)
        self.backend.answer(2, b"here again")
        self.assertEqual(self.backend.messages(), [b"1", b"1", b"1", b"2"])
        self.assertEqual(connection.sent, [(b"here again", False)])
        self.assertEqual(self.metrics.php_failures, 0)

    def test_does_not_wait_for_ever(self) -> None:
        client, _ = self.client()
        self.say(client, b"1")
        for index, delay in enumerate((0.1, 0.2, 0.4, 0.8)):
            self.backend.refuse(index)
            self.clock.advance(delay)
        self.assertEqual(self.metrics.php_failures, 0)
        self.backend.refuse(4)
        self.assertEqual(self.metrics.php_failures, 1)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_no_second_try_for_a_client_that_left(self) -> None:
        client, _ = self.client()
        self.say(client, b"1")
        self.relay.forget(client)
        self.backend.refuse(0)
        self.clock.advance(10)
        self.assertEqual(self.backend.messages(), [b"1"])

    def test_idle(self) -> None:
        self.successResultOf(self.relay.when_idle())
        client, _ = self.client()
        self.say(client, b"1", b"2")
        idle = self.relay.when_idle()
        self.backend.answer(0)
        self.assertNoResult(idle)
        self.backend.answer(1)
        self.successResultOf(idle)
