"""Tests for :mod:`phpgw.relay.disconnects`."""

from collections.abc import Callable
from functools import partial
from http import HTTPStatus

from twisted.internet.defer import Deferred, fail
from twisted.logger import capturedLogs

from phpgw.backend.errors import BackendBusy, BackendTimeout, BackendUnreachable, ScriptNotFound
from phpgw.backend.reply import Head, Reply
from phpgw.hub.client import Client
from phpgw.relay import disconnects
from phpgw.relay.breaker import Breaker, BreakerPolicy
from phpgw.relay.disconnects import DisconnectQueue
from phpgw.relay.queue import EventQueue
from phpgw.relay.retry import RetryingBackend
from tests.support.fake_backend import COMMANDS, STREAM, AskedEvent, FakeBackendTestCase
from tests.support.fakes import FakeConnection, fake_client, handshake, identity


def _nginx_page(status: int) -> Callable[[AskedEvent], object]:
    """What Nginx answers with for itself."""
    title = f"{status} {HTTPStatus(status).phrase}"
    body = (
        f"<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n<center><h1>{title}</h1>"
        "</center>\r\n<hr><center>nginx/1.22.1</center>\r\n</body>\r\n</html>\r\n"
    )
    reply = Reply(Head(status, ((b"content-type", b"text/html"),)), body.encode())
    return lambda asked: asked.answer.callback(reply)


class DisconnectQueueTests(FakeBackendTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.queue = EventQueue(8, self.metrics)
        self.make()

    def make(self, has_web_server: bool = False) -> None:
        breaker = Breaker(self.clock, BreakerPolicy(failures=5), self.metrics)
        php = RetryingBackend(self.clock, self.backend, breaker, self.metrics)
        self.disconnects = DisconnectQueue(
            self.clock,
            php,
            self.replies,
            self.queue,
            self.metrics,
            self.relay.observers,
            has_web_server,
        )

    def add(self, client_id: str = "a", code: int = 1001, reason: str = "") -> None:
        self.disconnects.add(fake_client(client_id)[0], code, reason)

    def assert_waiting(self, count: int) -> None:
        self.assertEqual(len(self.disconnects), count)
        self.assertEqual(self.metrics.disconnects_waiting_now, count)

    def when_empty(self) -> Deferred[None]:
        return Deferred.fromCoroutine(self.disconnects.when_empty())

    def bystander(self) -> FakeConnection:
        client, connection = fake_client("bystander")
        self.registry.add(client)
        return connection

    def test_event(self) -> None:
        client, _ = fake_client("[::1]:7")
        client.keep_cookies([b"a=1"], 0)
        self.disconnects.add(client, 3001, "bye, ü")
        [asked] = self.backend.asked
        event = asked.event
        self.assertEqual(
            (event.type, event.message, event.code), ("disconnect", "bye, ü".encode(), 3001)
        )
        self.assertIs(event.identity, client.identity)
        self.assertIsNone(asked.follow)
        self.assert_waiting(1)
        asked.reply()
        self.assert_waiting(0)

    def test_cookies_that_have_run_out(self) -> None:
        client, _ = fake_client()
        client.keep_cookies([b"a=1; Max-Age=5"], 0)
        self.clock.advance(10)
        self.disconnects.add(client, 1001, "")
        self.assertEqual(self.backend.asked[0].event.identity.handshake.headers, ())

    def test_a_quarter_of_php(self) -> None:
        for number in range(10):
            self.add(str(number))
        self.assertEqual(len(self.backend.asked), 2)
        for index in range(10):
            self.backend.asked[index].reply()
        self.assertEqual([name for _, name in self.backend.told()], list("0123456789"))
        self.assert_waiting(0)

    def test_for_as_long_as_php_is_away(self) -> None:
        """And then once."""
        self.backend.at_once = AskedEvent.refuse
        for client_id in "abcd":
            self.add(client_id)
        self.clock.pump([0.1] * 6000)
        self.assert_waiting(4)
        tried = len(self.backend.asked)
        self.backend.at_once = AskedEvent.reply
        self.clock.pump([0.1] * 100)
        self.assert_waiting(0)
        told = self.backend.told()[tried:]
        self.assertEqual(sorted(name for _, name in told), list("abcd"))
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(self.metrics.php_failures, 0)

    def test_circuit_breaker(self) -> None:
        """However many have left, PHP is asked by one of them at a time until it is back."""
        self.backend.at_once = AskedEvent.refuse
        for number in range(100):
            self.add(str(number))
        self.clock.pump([0.1] * 600)
        self.assert_waiting(100)
        self.assertEqual(self.metrics.breaker_openings, 1)
        self.assertLess(len(self.backend.asked), 100)
        self.assertLess(self.metrics.events_refused_by_breaker, 200)
        self.backend.asked.clear()
        self.backend.at_once = AskedEvent.reply
        self.clock.pump([0.1] * 320)
        self.assert_waiting(0)
        self.assertEqual(
            sorted(name for _, name in self.backend.told()), sorted(map(str, range(100)))
        )
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(self.metrics.php_failures, 0)

    def test_web_server_without_php(self) -> None:
        """For as long as it takes; PHP is looked for, and told of all once it is there."""
        for status in (502, 503):
            self.make(has_web_server=True)
            self.backend.asked.clear()
            self.backend.at_once = _nginx_page(status)
            self.backend.is_there = False
            self.add("a")
            self.clock.pump([0.5] * 100)
            self.add("b")
            self.clock.pump([0.5] * 100)
            self.assert_waiting(2)
            self.assertEqual(len(self.backend.asked), 1)
            self.backend.is_there = True
            self.backend.at_once = AskedEvent.reply
            self.clock.pump([0.5] * 5)
            self.assert_waiting(0)
            self.assertEqual([name for _, name in self.backend.told()], ["a", "a", "b"])
        self.assertEqual((self.metrics.php_failures, self.metrics.disconnects_lost), (0, 0))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_script_that_breaks_off_behind_a_web_server(self) -> None:
        """PHP is there, so it was the script that ended; it may have done its work."""
        self.make(has_web_server=True)
        self.backend.at_once = _nginx_page(502)
        with capturedLogs() as events:
            self.add("a")
            self.add("b")
        self.clock.pump([0.5] * 100)
        self.assert_waiting(0)
        self.assertEqual(len(self.backend.asked), 2)
        self.assertEqual(len(events), 2)
        self.assertEqual((self.metrics.php_failures, self.metrics.disconnects_lost), (2, 2))

    def test_web_server_that_does_not_ask_php(self) -> None:
        """It limits requests: PHP is there, and has heard nothing."""
        self.make(has_web_server=True)
        self.backend.at_once = _nginx_page(503)
        self.add()
        self.clock.pump([0.5] * 10)
        self.assert_waiting(1)
        self.backend.at_once = AskedEvent.reply
        self.clock.pump([0.5] * 5)
        self.assert_waiting(0)
        self.assertEqual(self.metrics.php_failures, 0)

    def test_web_server_that_waited_in_vain(self) -> None:
        """PHP has been given it."""
        self.make(has_web_server=True)
        self.backend.is_there = False
        self.backend.at_once = _nginx_page(504)
        self.add()
        self.clock.pump([0.5] * 100)
        self.assert_waiting(0)
        self.assertEqual(len(self.backend.asked), 1)
        self.assertEqual((self.metrics.php_failures, self.metrics.disconnects_lost), (1, 1))

    def test_php_hangs(self) -> None:
        """One has been given to it, and is lost; not one after the other."""
        self.backend.is_there = False
        for number in range(10):
            self.add(f"192.0.2.1:{number}")
        self.assertEqual(len(self.backend.asked), 2)
        self.backend.asked[0].answer.errback(BackendTimeout("no answer within 10 s"))
        self.backend.asked[1].answer.errback(BackendTimeout("no answer within 10 s"))
        self.add("192.0.2.1:10")
        self.clock.pump([0.5] * 200)
        self.assertEqual((len(self.backend.asked), self.metrics.disconnects_lost), (2, 2))
        self.assert_waiting(9)
        self.backend.is_there = True
        self.backend.at_once = AskedEvent.reply
        self.clock.pump([0.5] * 5)
        self.assert_waiting(0)
        self.assertEqual((len(self.backend.asked), self.metrics.disconnects_lost), (11, 2))

    def test_one_script_that_takes_too_long(self) -> None:
        """PHP is there for all others."""
        self.add("192.0.2.1:1")
        self.backend.asked[0].answer.errback(BackendTimeout("no answer within 10 s"))
        self.add("192.0.2.1:2")
        self.assertEqual((len(self.backend.asked), self.backend.probes), (2, 1))

    def test_script_that_answers_with_an_error(self) -> None:
        """It has heard, whatever it says: a framework in maintenance, say."""
        for has_web_server in (False, True):
            for status in (404, 429, 500, 502, 503, 504):
                self.make(has_web_server)
                self.backend.asked.clear()
                self.backend.is_there = False
                self.backend.at_once = partial(AskedEvent.reply, status=status)
                self.add()
                self.clock.pump([0.5] * 100)
                self.assert_waiting(0)
                self.assertEqual(len(self.backend.asked), 1)
        self.assertEqual(self.metrics.disconnects_lost, 0)

    def test_in_doubt_while_php_is_looked_for(self) -> None:
        """What PHP had no answer for meanwhile is looked after for itself."""
        self.make(has_web_server=True)
        probes: list[Deferred[None]] = []

        def probe() -> Deferred[None]:
            probes.append(Deferred())
            return probes[-1]

        self.backend.probe = probe  # type: ignore[method-assign]
        self.backend.at_once = _nginx_page(502)
        self.add("a")
        self.add("b")
        self.assertEqual(len(probes), 1)
        probes[0].callback(None)
        self.assert_waiting(1)
        self.assertEqual(len(probes), 2)
        probes[1].errback(BackendUnreachable("not there"))
        self.assert_waiting(1)
        self.backend.at_once = AskedEvent.reply
        self.clock.advance(2)
        probes[2].callback(None)
        self.assert_waiting(0)
        self.assertEqual([name for _, name in self.backend.told()], ["a", "b", "b"])

    def test_script_that_is_not_for_probes(self) -> None:
        """What may have been told is not told again, and all else goes on."""
        self.make(has_web_server=True)
        self.backend.probe = lambda: fail(ScriptNotFound("404"))  # type: ignore[method-assign]
        self.backend.at_once = _nginx_page(502)
        self.add("a")
        self.assert_waiting(0)
        self.backend.at_once = AskedEvent.reply
        self.add("b")
        self.assert_waiting(0)
        self.assertEqual(self.metrics.disconnects_lost, 1)

    def test_php_is_not_looked_for_while_events_are_held(self) -> None:
        self.backend.at_once = AskedEvent.refuse
        self.add()
        self.clock.pump([0.1] * 16)
        self.queue.set_concurrency(0)
        self.clock.pump([1] * 10)
        self.assertEqual(self.backend.probes, 0)
        self.queue.set_concurrency(8)
        self.backend.at_once = AskedEvent.reply
        self.clock.pump([1] * 2)
        self.assert_waiting(0)

    def test_said_once_while_php_is_away(self) -> None:
        self.backend.at_once = AskedEvent.refuse
        for _ in range(2):
            with capturedLogs() as events:
                for client_id in "abc":
                    self.add(client_id)
                self.clock.pump([0.1] * 100)
            lines = [
                event for event in events if event["log_namespace"].endswith("DisconnectQueue")
            ]
            [line] = lines
            self.assertEqual((line["client_id"], line["reason"]), ("a", "refused"))
            self.backend.at_once = AskedEvent.reply
            self.clock.pump([0.5] * 100)
            self.assert_waiting(0)
            self.backend.at_once = AskedEvent.refuse

    def test_one_network_does_not_fill_all(self) -> None:
        self.patch(disconnects, "_MAX_WAITING", 4)
        self.backend.at_once = AskedEvent.refuse
        for host, count in (("192.0.2.1", 5), ("198.51.100.1", 1), ("127.0.0.1", 1)):
            for number in range(count):
                who = identity(f"{host}:{number}", handshake=handshake(peer_host=host))
                self.disconnects.add(Client(who, FakeConnection()), 1001, "")
        self.assert_waiting(4)
        self.assertEqual(self.metrics.disconnects_lost, 3)

    def test_at_a_measured_pace(self) -> None:
        """A few quick attempts, and a pause in which PHP has its queue for others."""
        self.backend.at_once = AskedEvent.refuse
        self.add()
        self.clock.pump([0.1] * 16)
        self.assertEqual(len(self.backend.asked), 5)
        self.successResultOf(self.queue.when_idle())
        self.clock.advance(1.8)
        self.assertEqual(len(self.backend.asked), 5)
        self.clock.advance(0.2)
        self.assertEqual(len(self.backend.asked), 6)

    def test_again_where_php_had_no_worker(self) -> None:
        self.backend.at_once = lambda asked: asked.answer.errback(BackendBusy("no worker"))
        self.add()
        self.clock.pump([0.5] * 10)
        self.assert_waiting(1)
        self.backend.at_once = AskedEvent.reply
        self.clock.pump([0.5] * 5)
        self.assert_waiting(0)
        self.assertEqual(self.metrics.php_failures, 0)

    def test_not_again_where_php_may_have_heard(self) -> None:
        def refuse_status(asked: AskedEvent) -> None:
            asked.reply(b"Oops\nsecret", 500)

        for at_once in (AskedEvent.break_off, refuse_status):
            self.backend.at_once = at_once
            with capturedLogs() as events:
                self.add("192.0.2.1:5")
            [event] = events
            self.assertEqual(event["what"], "the disconnect of client 192.0.2.1:5")
            self.assert_quiet(events, "secret")
        self.clock.advance(100)
        self.assertEqual(len(self.backend.asked), 2)
        self.assertEqual(self.metrics.php_failures, 2)
        self.assert_waiting(0)

    def test_commands_for_others(self) -> None:
        """PHP may tell a group that somebody has left."""
        bystander = self.bystander()
        line = b'{"op": "send", "to": {"all": true}, "message": "gone"}'
        for media_type, body in ((COMMANDS, b"[%b]" % line), (STREAM, line + b"\n" + line)):
            self.add()
            self.backend.asked[-1].reply(body, media_type=media_type)
        self.assertEqual(bystander.sent, [(b"gone", False)] * 3)
        self.assert_waiting(0)

    def test_what_cannot_be_made_use_of(self) -> None:
        """Plain text is for nobody; a command for who has left is PHP's mistake."""
        self.add()
        self.backend.asked[0].reply(b"bye")
        self.assertEqual(self.metrics.php_failures, 0)
        self.add()
        self.backend.asked[1].reply(b'[{"op": "join", "group": "g"}]', media_type=COMMANDS)
        self.assertEqual(self.metrics.php_failures, 1)
        self.assert_waiting(0)

    def test_when_empty(self) -> None:
        self.successResultOf(self.when_empty())
        self.add("a")
        self.add("b")
        told = self.when_empty()
        self.backend.asked[1].reply()
        self.assertNoResult(told)
        self.backend.asked[0].refuse()
        self.backend.at_once = AskedEvent.reply
        self.clock.advance(1)
        self.successResultOf(told)

    def test_not_waited_for_any_longer(self) -> None:
        self.add()
        told = self.when_empty().addTimeout(1, self.clock, lambda *_: None)
        other = self.when_empty()
        self.clock.advance(1)
        self.successResultOf(told)
        self.backend.asked[0].reply()
        self.successResultOf(other)

    def test_there_is_an_end_to_patience(self) -> None:
        """What is too much is counted, and logged once in a while."""
        self.patch(disconnects, "_MAX_WAITING", 2)
        with capturedLogs() as events:
            for client_id in "abcde":
                self.add(client_id)
        [event] = events
        self.assertEqual((event["lost"], event["client_id"], event["count"]), (1, "c", 2))
        self.assertEqual(self.metrics.disconnects_lost, 3)
        self.assert_waiting(2)
        self.clock.advance(60)
        with capturedLogs() as events:
            self.add("f")
            self.add("g")
        [event] = events
        self.assertEqual((event["lost"], event["client_id"]), (3, "f"))
        self.backend.asked[0].reply()
        self.add("h")
        self.assertEqual(self.metrics.disconnects_lost, 5)
        self.backend.asked[1].reply()
        self.backend.asked[2].reply()
        self.assertEqual([name for _, name in self.backend.told()], ["a", "b", "h"])
        self.assert_waiting(0)

    def test_what_is_noted_until_then(self) -> None:
        """It comes with the event; what is noted later makes no difference, and that is known."""
        self.backend.at_once = lambda asked: asked.refuse()
        client, _ = fake_client()
        self.disconnects.add(client, 1001, "")
        self.clock.pump([0.1] * 20)
        self.assertFalse(client.is_finished)
        self.registry.bind(client, "zoe")
        self.backend.at_once = lambda asked: None
        self.clock.pump([0.1] * 600)
        self.assertEqual(self.backend.asked[-1].event.identity.user, "zoe")
        self.assertTrue(client.is_finished)
        self.assert_waiting(1)
